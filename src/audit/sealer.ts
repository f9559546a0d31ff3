import type { Database } from "../db.ts";
import type { Log } from "../log.ts";
import { startTicker, type Ticker } from "../ticker.ts";

const EVERY_MS = 1000;
const MAX_EVENTS = 2000;

/**
 * Chains new audit events each second, for as long as the service runs, and what is left when it stops. Every process
 * of a deployment does; an org's chain is worked on by one of them at a time (sql/audit.sql).
 */
export const startSealer = (database: Database, log: Log): Ticker =>
  startTicker(
    {
      every_ms: EVERY_MS,
      at_last: true,
      failing: "audit events are not chained just now",
      async run() {
        while ((await database.sealAudit(MAX_EVENTS)) >= MAX_EVENTS);
      },
    },
    log,
  );
