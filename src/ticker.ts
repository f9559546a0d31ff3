import type { Log } from "./log.ts";
import { problemFrom } from "./problem.ts";

/** Work that is done again and again. */
export interface Ticker {
  /** Lets the turn that runs end, does a last one where that is wanted, and stops. */
  stop(): Promise<void>;
}

interface Work {
  readonly every_ms: number;
  /** Once at the start too. */
  readonly at_once?: boolean;
  /** Once more when it stops. */
  readonly at_last?: boolean;
  /** For the log when it fails: what is not done. */
  readonly failing: string;
  run(): Promise<unknown>;
}

/** Does work in turns, never two at once. What fails is logged once and tried again in the next turn. */
export function startTicker({ every_ms, at_once = false, at_last = false, failing, run }: Work, log: Log): Ticker {
  let is_failing = false;
  let running: Promise<void> = Promise.resolve();

  const turn = async () => {
    try {
      await run();
      is_failing = false;
    } catch (error) {
      if (!is_failing) log("warn", failing, { cause: problemFrom(error).code });
      is_failing = true;
    }
  };
  const queue = () => {
    running = running.then(turn);
  };
  const timer = setInterval(queue, every_ms);
  if (at_once) queue();

  return {
    async stop() {
      clearInterval(timer);
      await running;
      if (at_last) await turn();
    },
  };
}
