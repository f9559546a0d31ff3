import type { Command } from "commander";
import { type Config, ConfigError, loadConfig } from "../config.ts";
import { backupFor } from "../ops/before_migrating.ts";
import { type MigrationReport, migrateDatabase } from "../ops/migrate.ts";
import { prepareDatabase } from "../ops/roles.ts";
import { withPlace } from "./owner.ts";
import { told } from "./told.ts";

interface MigrateOptions {
  create?: true;
  /** A file; false: without one. */
  backup?: string | false;
  acceptDrift?: boolean;
  json?: true;
}

/** Adds `brain migrate` to the program. */
export function addMigrate(program: Command) {
  program
    .command("migrate")
    .description("bring the database's schema up to this release, as its owner")
    .option(
      "--create",
      "first make the roles and the database that OWNER_DATABASE_URL and DATABASE_URL name, as ROOT_DATABASE_URL",
    )
    .option("--backup <file>", "use this backup instead of taking one; it must be of these very rows")
    .option("--no-backup", "take none: you have one you trust; it is recorded that there was none")
    .option("--accept-drift", "take the schema as it is for what it shall be, whatever was changed by hand")
    .option("--json", "print what was done as JSON")
    .addHelpText(
      "after",
      "\nUses OWNER_DATABASE_URL, or the embedded database. Where there are rows it takes a backup first and restores it\nonce into a scratch database: as ROOT_DATABASE_URL, or an owner who may create databases. docs/operations.md tells more.",
    )
    .action(migrate);
}

async function migrate({ create, backup, acceptDrift = false, json }: MigrateOptions) {
  await told(json, async (telling) => {
    if (create) await createDatabase(loadConfig());
    const report = await withPlace((place, { data_dir }) => {
      const file = typeof backup === "string" ? backup : undefined;
      const backUp = backup === false ? null : backupFor(place, { data_dir, file, ...telling });
      return migrateDatabase(place.owner_url, { backUp, accept_drift: acceptDrift, is_strict: true, ...telling });
    });
    console.log(json ? JSON.stringify(shortReport(report)) : sentenceOf(report));
  });
}

const shortReport = ({ from, to, applied, backup, before, after }: MigrationReport) => ({
  from,
  to,
  applied,
  backup,
  before,
  after,
});

function sentenceOf({ to, applied }: MigrationReport): string {
  const did = applied.length > 0 ? `${applied.length} applied: ${applied.join(", ")}. ` : "";
  return `${did}The schema is at ${to}.`;
}

/** The roles' names and passwords and the database's name are those of the two URLs. */
async function createDatabase({ root_database_url, owner_database_url, database_url }: Config) {
  if (!root_database_url || !owner_database_url || !database_url)
    throw new ConfigError("migrate --create needs ROOT_DATABASE_URL, OWNER_DATABASE_URL and DATABASE_URL.");
  const [owner, service] = [new URL(owner_database_url), new URL(database_url)];
  const database = decodeURIComponent(owner.pathname.slice(1));
  if (!owner.username || !owner.password || !service.username || !service.password || !database)
    throw new ConfigError(
      "migrate --create needs a user, a password and a database in OWNER_DATABASE_URL and DATABASE_URL.",
    );
  if (service.pathname !== owner.pathname)
    throw new ConfigError("OWNER_DATABASE_URL and DATABASE_URL name two databases.");
  await prepareDatabase(root_database_url, database, { owner: roleOf(owner), service: roleOf(service) });
}

const roleOf = ({ username, password }: URL) => ({
  name: decodeURIComponent(username),
  password: decodeURIComponent(password),
});
