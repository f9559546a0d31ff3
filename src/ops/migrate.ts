import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Logger } from "@graphile/logger";
import postgres from "postgres";
import { messageOf, Refusal } from "../refusal.ts";

const MIGRATIONS = join(import.meta.dir, "../../migrations");

/** Any number, so long as it is always this one: two runners wait for each other instead of failing. */
const LOCK = 4_270_001;

const ROLES_MISSING = `The role brain_app is missing, and a migration does not make roles. Either run
  brain migrate --create
with ROOT_DATABASE_URL set to an administrator's connection, or have one run, in this database,
${readFileSync(join(MIGRATIONS, "roles.sql"), "utf8")}
with the database's name for :DATABASE_NAME, and then: grant brain_app to <the role of DATABASE_URL>`;

/** The newest migration of this release, by the name graphile-migrate records: six digits and `.sql`. */
export function newestMigration(): string {
  const [newest] = readdirSync(join(MIGRATIONS, "committed")).sort().reverse();
  if (!newest) throw new Error("This release has no migrations.");
  return `${newest.slice(0, 6)}.sql`;
}

/**
 * Applies every committed migration the database lacks, as its owner. Waits for another runner. Throws a Refusal where
 * the database does not answer, and what a failing migration throws: that one is rolled back, earlier ones stay.
 */
export async function migrateDatabase(owner_url: string): Promise<void> {
  // Here and not above: to load it takes a fifth of the start of a service, which needs it for nothing.
  const [{ migrate }, { clearAllPools }] = await Promise.all([
    import("graphile-migrate"),
    import("graphile-migrate/dist/pgReal.js"),
  ]);
  const sql = postgres(owner_url, { max: 1, onnotice: () => {} });
  try {
    // A lock of the session, not of a transaction: graphile-migrate opens its own connections and transactions.
    const session = await sql.reserve().catch((error: unknown) => {
      throw new Refusal("database_unreachable", `The owner's database does not answer: ${messageOf(error)}.`, error);
    });
    try {
      await session`select pg_advisory_lock(${LOCK})`;
      const [role] = await session`select from pg_roles where rolname = 'brain_app'`;
      if (!role) throw new Refusal("roles_missing", ROLES_MISSING);
      await expectNoNewer(session);
      await migrate(settingsFor(owner_url));
    } finally {
      // graphile-migrate keeps its pool for 200 ms, and ends the process when the server closes that meanwhile (2.0.0-rc.3).
      clearAllPools();
      session.release();
    }
  } finally {
    await sql.end(); // lets go of the lock too
  }
}

/** A newer release has been here: this one does not know what it did. Throws a Refusal. */
async function expectNoNewer(sql: postgres.Sql) {
  const [known] = await sql`select to_regclass('graphile_migrate.migrations') as name`;
  if (!known?.name) return;
  const [row] = await sql<{ newest: string | null }[]>`select max(filename) as newest from graphile_migrate.migrations`;
  if (row?.newest && row.newest > newestMigration())
    throw new Refusal(
      "newer_version",
      `The schema is at ${row.newest}, and this release knows ${newestMigration()}. Use the newer release.`,
    );
}

/** graphile-migrate tells its errors by throwing them; what it logs beside is for a terminal of its own. */
const settingsFor = (connectionString: string) => ({
  connectionString,
  migrationsFolder: MIGRATIONS,
  logger: new Logger(() => () => {}),
});
