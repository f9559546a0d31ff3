import { Database } from "bun:sqlite";

/**
 * Holds a lock file for as long as this process lives, or until released; null where another process holds it.
 * An exclusive SQLite transaction, because Bun has no flock and the system drops this lock with the process,
 * `kill -9` included, where a pid file would lie.
 */
export function tryLock(file: string): { release(): void } | null {
  const lock = new Database(file);
  try {
    lock.run("begin exclusive");
  } catch (error) {
    lock.close();
    if (error instanceof Error && "code" in error && error.code === "SQLITE_BUSY") return null;
    throw error;
  }
  return { release: () => lock.close() };
}
