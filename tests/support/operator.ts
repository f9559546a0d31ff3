import { cpSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { temporaryFolder } from "./folder.ts";
import type { TestDatabase } from "./server.ts";

const ROOT = join(import.meta.dir, "../..");

/** Somebody who runs databases, from a folder of their own; what they were given is gone at the end. */
export function openOperator() {
  const folder = temporaryFolder();
  const opened: TestDatabase[] = [];
  return {
    path: folder.path,
    async kept(made: Promise<TestDatabase>): Promise<TestDatabase> {
      const database = await made;
      opened.push(database);
      return database;
    },
    /** The environment for a database, with this data directory. */
    env: (database: TestDatabase, data_dir = "data") => ({
      OWNER_DATABASE_URL: database.owner_url,
      ROOT_DATABASE_URL: database.admin_url,
      BRAIN_DATA_DIR: join(folder.path, data_dir),
    }),
    /** This release in a folder of its own, to be changed. */
    release: (name: string) => releaseIn(join(folder.path, name)),
    async [Symbol.asyncDispose]() {
      for (const database of opened) await database.drop();
      folder[Symbol.dispose]();
    },
  };
}

function releaseIn(path: string) {
  mkdirSync(path);
  for (const part of ["src", "sql", "migrations", "package.json", "tsconfig.json"])
    cpSync(join(ROOT, part), join(path, part), { recursive: true, verbatimSymlinks: true });
  symlinkSync(join(ROOT, "node_modules"), join(path, "node_modules"));
  return {
    path,
    async migrate(env: Record<string, string>, ...options: string[]) {
      const command = Bun.spawn([process.execPath, "src/cli/brain.ts", "migrate", ...options], {
        cwd: path,
        env: { PATH: process.env.PATH ?? "", LOG_LEVEL: "warn", ...env },
        stdout: "ignore",
        stderr: "pipe",
      });
      return { code: await command.exited, err: await new Response(command.stderr).text() };
    },
  };
}

export async function asOwner<T>({ owner_url }: TestDatabase, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(owner_url, { max: 1, onnotice: () => {} });
  return work(sql).finally(() => sql.end());
}

export const appliedTo = (database: TestDatabase) =>
  asOwner(
    database,
    async (sql) => (await sql`select max(filename) as newest from graphile_migrate.migrations`)[0]?.newest,
  );
export const contentsOf = (database: TestDatabase) =>
  asOwner(database, async (sql) =>
    (await sql`select content from brain.memories order by content`).map((row) => row.content),
  );
