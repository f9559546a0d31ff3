import { Refusal } from "../refusal.ts";
import { openProgress } from "./progress.ts";

/** How a command that takes a while tells of it: what it is at on a terminal, and with --json what it refused. */
export interface Telling {
  say(line: string): void;
  progress(line: string): void;
}

/** Runs a command; with `json` its refusal is printed on standard output too, as `{refused, message}`. */
export async function told<T>(json: boolean | undefined, work: (telling: Telling) => Promise<T>): Promise<T> {
  const line = openProgress();
  try {
    return await work({ say: console.error, progress: (text) => line.tell(text) });
  } catch (error) {
    if (json && error instanceof Refusal) console.log(JSON.stringify({ refused: error.exit, message: error.message }));
    throw error;
  } finally {
    line.end();
  }
}
