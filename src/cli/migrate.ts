import type { Command } from "commander";
import { type Config, ConfigError, loadConfig } from "../config.ts";
import { openEmbedded } from "../embedded/database.ts";
import { newestMigration } from "../ops/committed.ts";
import { migrateDatabase } from "../ops/migrate.ts";
import { prepareDatabase } from "../ops/roles.ts";

/** Adds `brain migrate` to the program. */
export function addMigrate(program: Command) {
  program
    .command("migrate")
    .description("bring the database's schema up to this release, as its owner")
    .option(
      "--create",
      "first make the roles and the database that OWNER_DATABASE_URL and DATABASE_URL name, as ROOT_DATABASE_URL",
    )
    .addHelpText("after", "\nUses OWNER_DATABASE_URL, or the embedded database.")
    .action(async ({ create }: { create?: true }) => {
      const config = loadConfig();
      if (create) await createDatabase(config);
      if (config.owner_database_url) await migrateDatabase(config.owner_database_url);
      else {
        const { server, owner_database_url } = await openEmbedded(config.data_dir, console.error);
        await migrateDatabase(owner_database_url).finally(() => server.stop());
      }
      console.log(`The schema is at ${newestMigration()}.`);
    });
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
