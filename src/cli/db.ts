import { join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { loadConfig } from "../config.ts";
import { openEmbedded } from "../embedded/database.ts";
import { onConnection } from "../ops/owner.ts";
import { draftRollback } from "../ops/rollback_draft.ts";
import { recordCatalog } from "../ops/runs.ts";
import { untilStopped } from "./signals.ts";

const ROOT = join(import.meta.dir, "../..");

/** What each word means to graphile-migrate. `reset` starts over on purpose, so it says --erase itself. */
const ACTIONS: Record<string, string[]> = {
  watch: ["watch"],
  commit: ["commit"],
  uncommit: ["uncommit"],
  reset: ["reset", "--erase"],
  status: ["status"],
};

/** Adds `brain db` to the program. */
export function addDb(program: Command) {
  program
    .command("db")
    .description(
      "for developers of this project: run graphile-migrate on the embedded database, or on OWNER_DATABASE_URL",
    )
    .argument(
      "<action>",
      `${Object.keys(ACTIONS).join(", ")}; or start: the embedded database alone, until Ctrl-C; or rollback-draft: begin the rollback of a migration that has none`,
      action,
    )
    .argument("[options...]", "handed on, such as --message 'what it does'")
    .allowUnknownOption()
    .addHelpText(
      "after",
      "\nExits with graphile-migrate's own code; for status 1 means pending, 2 a current.sql in work, 3 both.",
    )
    .action(async (word: string, options: string[]) => {
      if (word === "rollback-draft") return console.log(draftRollback() ?? "Every migration has a rollback.");
      const { owner_database_url, data_dir } = loadConfig();
      const args = [...(ACTIONS[word] ?? []), ...options];
      if (owner_database_url && word !== "start") {
        await graphileMigrate(args, {});
        return takeAsItIs(owner_database_url, word);
      }
      const stopped = untilStopped();
      const { server, ...urls } = await openEmbedded(data_dir, console.error);
      try {
        if (word === "start") {
          console.log('The database runs; eval "$(bun brain env)" in another terminal. Ctrl-C stops it.');
          return await stopped;
        }
        await graphileMigrate(args, {
          OWNER_DATABASE_URL: urls.owner_database_url,
          SHADOW_DATABASE_URL: `${urls.owner_database_url}_shadow`,
          ROOT_DATABASE_URL: urls.root_database_url,
        });
        await takeAsItIs(urls.owner_database_url, word);
      } finally {
        await server.stop();
      }
    });
}

function action(word: string): string {
  if (word !== "start" && word !== "rollback-draft" && !ACTIONS[word])
    throw new InvalidArgumentError(`One of ${Object.keys(ACTIONS).join(", ")}, start, rollback-draft.`);
  return word;
}

/** What a developer changes by the tool is no drift. */
async function takeAsItIs(owner_url: string, word: string) {
  if (word === "status" || process.exitCode) return;
  await onConnection(owner_url, (session) => recordCatalog(session, "develop"));
}

async function graphileMigrate(args: string[], env: Record<string, string>) {
  const tool = Bun.spawn([process.execPath, "--bun", "node_modules/.bin/graphile-migrate", ...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ["inherit", "inherit", "inherit"],
  });
  process.exitCode = await tool.exited;
}
