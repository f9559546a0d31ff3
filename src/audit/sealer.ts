import type { Database } from "../db.ts";
import type { Log } from "../log.ts";
import { problemFrom } from "../problem.ts";

const EVERY_MS = 1000;
const MAX_EVENTS = 2000;

/** A sealer that runs. */
export interface Sealer {
  /** Seals what is there and stops. */
  stop(): Promise<void>;
}

/**
 * Chains new audit events each second, for as long as the service runs. Every process of a deployment has one; an org's
 * chain is worked on by one of them at a time (sql/audit.sql). What fails is logged once and tried again.
 */
export function startSealer(database: Database, log: Log): Sealer {
  let is_failing = false;
  let running: Promise<void> = Promise.resolve();

  const seal = async () => {
    try {
      while ((await database.sealAudit(MAX_EVENTS)) >= MAX_EVENTS);
      is_failing = false;
    } catch (error) {
      if (!is_failing) log("warn", "audit events are not chained just now", { cause: problemFrom(error).code });
      is_failing = true;
    }
  };
  const timer = setInterval(() => {
    running = running.then(seal);
  }, EVERY_MS);

  return {
    async stop() {
      clearInterval(timer);
      await running;
      await seal();
    },
  };
}
