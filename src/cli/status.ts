import type { Command } from "commander";
import { type Status, statusOf } from "../ops/status.ts";
import { EXIT } from "../refusal.ts";
import { withPlace } from "./owner.ts";
import { told } from "./told.ts";

/** Adds `brain status` to the program. */
export function addStatus(program: Command) {
  program
    .command("status")
    .description("what the database's schema is to this release, and what the last run did; changes nothing")
    .option("--json", "print it as JSON")
    .addHelpText(
      "after",
      `\nUses OWNER_DATABASE_URL, or the embedded database. Ends with 0 when it is up to date, ${EXIT.schema_behind} behind, ${EXIT.newer_version} ahead, ${EXIT.drifted} drifted.`,
    )
    .action(async ({ json }: { json?: true }) => {
      const status = await told(json, () => withPlace(({ owner_url }, { data_dir }) => statusOf(owner_url, data_dir)));
      console.log(json ? JSON.stringify(status) : linesOf(status).join("\n"));
      process.exitCode = CODES[status.state];
    });
}

const CODES: Record<Status["state"], number> = {
  "up to date": 0,
  behind: EXIT.schema_behind,
  ahead: EXIT.newer_version,
  drifted: EXIT.drifted,
};

function linesOf({
  database,
  server_version,
  state,
  migration,
  newest,
  pending,
  drift,
  last_run,
  last_backup,
}: Status) {
  return [
    `${database} (PostgreSQL ${server_version}) is ${state}: at ${migration ?? "no migration"}, and this release's newest is ${newest}.`,
    ...pending.map((file) => `Pending: ${file}`),
    ...drift.map((what) => `Drifted: ${what}`),
    last_run
      ? `Last run: ${last_run.kind} from ${last_run.from ?? "nothing"}, ${last_run.result} at ${last_run.ended_at ?? "no time yet"}, by ${last_run.by}${last_run.detail ? `: ${last_run.detail}` : ""}${last_run.without_backup ? ", without a backup" : ""}.`
      : "Last run: none is known.",
    `Last backup in the data directory: ${last_backup ?? "none"}.`,
  ];
}
