import type { Database } from "../db.ts";
import type { Log } from "../log.ts";
import { startTicker, type Ticker } from "../ticker.ts";

const EVERY_MS = 500;

/**
 * Writes down what has been recalled, twice a second and when it stops. Not in the transaction that read it: that one
 * is read only, and no answer waits for its own record. What waits in a process that is killed is lost.
 */
export const startRecallWriter = (database: Database, log: Log): Ticker =>
  startTicker(
    {
      every_ms: EVERY_MS,
      at_last: true,
      failing: "recalls are not written down just now",
      async run() {
        while ((await database.writeRecalls()) > 0);
      },
    },
    log,
  );
