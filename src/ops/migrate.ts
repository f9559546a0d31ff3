import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Logger } from "@graphile/logger";
import { compile, migrate } from "graphile-migrate";
import postgres from "postgres";

const MIGRATIONS = join(import.meta.dir, "../../migrations");

/** Any number, so long as it is always this one: two runners wait for each other instead of failing. */
const LOCK = 4_270_001;

/** The newest migration of this release, by the name graphile-migrate records: six digits and `.sql`. */
export function newestMigration(): string {
  const [newest] = readdirSync(join(MIGRATIONS, "committed")).sort().reverse();
  if (!newest) throw new Error("This release has no migrations.");
  return `${newest.slice(0, 6)}.sql`;
}

/** Applies every committed migration the database lacks, as its owner. Waits for another runner. Throws what one throws. */
export async function migrateDatabase(owner_url: string): Promise<void> {
  const sql = postgres(owner_url, { max: 1, onnotice: () => {} });
  // A lock of the session, not of a transaction: graphile-migrate opens its own connections and transactions.
  const session = await sql.reserve();
  try {
    await session`select pg_advisory_lock(${LOCK})`;
    await migrate(settingsFor(owner_url));
  } finally {
    session.release();
    await sql.end();
  }
}

/** The living sql/ as one text, ready to run on a database: what the drift test applies. */
export const livingSql = (owner_url: string) => compile(settingsFor(owner_url), "--!include all.sql\n");

function settingsFor(connectionString: string) {
  const failed: string[] = [];
  const logger = new Logger(() => (level, message) => {
    if (level === "error") failed.push(message);
  });
  return { connectionString, migrationsFolder: MIGRATIONS, logger };
}
