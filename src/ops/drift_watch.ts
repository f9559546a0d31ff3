import type { Database } from "../db.ts";
import type { Log } from "../log.ts";
import { startTicker, type Ticker } from "../ticker.ts";

const EVERY_MS = 60_000;

/** Looks at the start and each minute whether the schema is what the last migration left; readiness tells of it. */
export function startDriftWatch(database: Database, log: Log): Ticker {
  let had_drifted = false;
  return startTicker(
    {
      every_ms: EVERY_MS,
      at_once: true,
      failing: "whether the schema has drifted is not known just now",
      async run() {
        const has_drifted = await database.lookForDrift();
        if (has_drifted !== had_drifted)
          log("warn", has_drifted ? "the schema has drifted: see `brain status`" : "the schema is what it was again");
        had_drifted = has_drifted;
      },
    },
    log,
  );
}
