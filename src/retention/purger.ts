import type { Database } from "../db.ts";
import type { Log } from "../log.ts";
import { startTicker, type Ticker } from "../ticker.ts";

const EVERY_MS = 3_600_000;
const MAX_ROWS = 1000;
/** So that a backlog does not take the whole hour. */
const MAX_TURNS = 100;

/**
 * Takes away what has had its time, at the start and each hour: see sql/purge.sql. Every process of a deployment does;
 * they pass over each other's rows.
 */
export const startPurger = (database: Database, log: Log): Ticker =>
  startTicker(
    {
      every_ms: EVERY_MS,
      at_once: true,
      failing: "what has had its time is not taken away just now",
      async run() {
        for (let turns = 0; turns < MAX_TURNS && (await database.purge(MAX_ROWS)) > 0; turns++);
      },
    },
    log,
  );
