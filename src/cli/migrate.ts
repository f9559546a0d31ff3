import type { Command } from "commander";
import { loadConfig } from "../config.ts";
import { openEmbedded } from "../embedded/database.ts";
import { migrateDatabase, newestMigration } from "../ops/migrate.ts";

export function addMigrate(program: Command) {
  program
    .command("migrate")
    .description("bring the database's schema up to this release, as its owner")
    .addHelpText("after", "\nUses OWNER_DATABASE_URL, or the embedded database.")
    .action(async () => {
      const { owner_database_url, data_dir } = loadConfig();
      if (owner_database_url) await migrateDatabase(owner_database_url);
      else {
        const { server, owner_database_url } = await openEmbedded(data_dir, console.error);
        await migrateDatabase(owner_database_url).finally(() => server.stop());
      }
      console.log(`The schema is at ${newestMigration()}.`);
    });
}
