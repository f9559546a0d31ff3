import { LOG_LEVELS, type LogLevel } from "./config.ts";
import { type Problem, toldWithoutValues } from "./problem.ts";

export type LogFields = Record<string, string | number | boolean | null | undefined>;
export type Log = (level: Exclude<LogLevel, "silent">, message: string, fields?: LogFields) => void;

// JSON escapes C0; DEL, C1 and the line separators still move a terminal's cursor or break a line.
const CONTROL = /[\u007f-\u009f\u2028\u2029]/g;

const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

const REMOVED = "[removed]";

const SUSPECT = /eyJ|@|bearer\s/i;

/** A text without what looks like a token, or a URL's password. In one pass each: it may be long, and made to be slow. */
function withoutSecrets(text: string): string {
  if (!SUSPECT.test(text)) return text; // nearly always
  return text
    .replace(/[\w.-]+/g, withoutToken)
    .replace(/(bearer)\s+\S+/gi, `$1 ${REMOVED}`)
    .replace(/(:\/\/[^\s:/]*:)[^\s/]*@/g, `$1${REMOVED}@`);
}

/** A JWT begins with {" in base64url; one that was cut off tells its claims all the same. */
function withoutToken(word: string): string {
  const start = word.indexOf("eyJ");
  return start === -1 || !word.slice(start).includes(".") ? word : word.slice(0, start) + REMOVED;
}

/**
 * A log that writes one JSON line per entry at or above the level. Callers pass no content, tokens or secrets; what they
 * pass on, errors above all, is looked through once more.
 */
export function createLog(threshold: LogLevel, write = (line: string) => void process.stderr.write(line)): Log {
  const from = LOG_LEVELS.indexOf(threshold);
  return (level, message, fields = {}) => {
    if (LOG_LEVELS.indexOf(level) < from) return;
    const entry: LogFields = { time: new Date().toISOString(), level, message: withoutSecrets(message) };
    for (const [name, value] of Object.entries(fields))
      entry[name] = typeof value === "string" ? withoutSecrets(value) : value;
    const line = JSON.stringify(entry);
    write(`${line.replace(CONTROL, escaped)}\n`);
  };
}

/** Enough of a user or org to follow it through the log, too little to be a list of people. */
export const shortened = (name: string) => (name.length > 8 ? `${name.slice(0, 8)}…` : name);

/** Milliseconds since a performance.now(), to a tenth. */
export const milliseconds = (started: number) => Math.round((performance.now() - started) * 10) / 10;

/** What a log says of an error: what it is, and where it came from. */
export function causeOf(error: unknown): { cause: string; stack?: string | undefined } {
  if (!(error instanceof Error)) return { cause: typeof error };
  const told = toldWithoutValues(error);
  return told === undefined
    ? { cause: `${error.name}: ${error.message}`, stack: error.stack }
    : { cause: told, stack: placesOf(error) };
}

/** A stack without the message it begins with; nothing where that is not to be found in it. */
function placesOf({ message, stack = "" }: Error): string | undefined {
  const start = stack.indexOf(message);
  return start === -1 ? undefined : stack.slice(start + message.length).trimStart();
}

/** Our own failures with their cause, the caller's by their code alone. */
export function logProblem(log: Log, problem: Problem, request_id: string) {
  const { code } = problem;
  if (problem.status < 500) log("debug", "problem", { request_id, code });
  else log("error", "problem", { request_id, code, ...causeOf(problem.cause) });
}
