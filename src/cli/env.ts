import type { Command } from "commander";
import { loadConfig } from "../config.ts";
import { joinEmbedded } from "../embedded/database.ts";
import { Refusal } from "../refusal.ts";

/** Adds `brain env` to the program. */
export function addEnv(program: Command) {
  program
    .command("env")
    .description("print the variables graphile-migrate and psql need, for the running embedded database")
    .addHelpText("after", '\nUse it as: eval "$(bun brain env)". The output holds passwords.')
    .action(() => {
      const urls = joinEmbedded(loadConfig().data_dir);
      if (!urls) {
        throw new Refusal(
          "database_unreachable",
          "The embedded database is not running; start it with `bun run up` or `bun brain db start`.",
        );
      }
      console.log(`export OWNER_DATABASE_URL='${urls.owner_database_url}'
export SHADOW_DATABASE_URL='${urls.owner_database_url}_shadow'
export ROOT_DATABASE_URL='${urls.root_database_url}'`);
    });
}
