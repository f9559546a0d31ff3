import { LOG_LEVELS, type LogLevel } from "./config.ts";
import type { Problem } from "./problem.ts";

export type LogFields = Record<string, string | number | boolean | null | undefined>;
export type Log = (level: Exclude<LogLevel, "silent">, message: string, fields?: LogFields) => void;

// JSON escapes C0; DEL, C1 and the line separators still move a terminal's cursor or break a line.
const CONTROL = /[\u007f-\u009f\u2028\u2029]/g;

const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** A log that writes one JSON line per entry at or above the level. Callers pass no content, tokens or secrets. */
export function createLog(threshold: LogLevel, write = (line: string) => void process.stderr.write(line)): Log {
  const from = LOG_LEVELS.indexOf(threshold);
  return (level, message, fields = {}) => {
    if (LOG_LEVELS.indexOf(level) < from) return;
    const line = JSON.stringify({ time: new Date().toISOString(), level, message, ...fields });
    write(`${line.replace(CONTROL, escaped)}\n`);
  };
}

/** Enough of a user or org to follow it through the log, too little to be a list of people. */
export const shortened = (name: string) => (name.length > 8 ? `${name.slice(0, 8)}…` : name);

/** Milliseconds since a performance.now(), to a tenth. */
export const milliseconds = (started: number) => Math.round((performance.now() - started) * 10) / 10;

/** Our own failures with their cause, the caller's by their code alone. */
export function logProblem(log: Log, problem: Problem, request_id: string) {
  if (problem.status < 500) return log("debug", "problem", { request_id, code: problem.code });
  const { cause } = problem;
  log("error", "problem", {
    request_id,
    code: problem.code,
    cause: cause instanceof Error ? `${cause.name}: ${cause.message}` : typeof cause,
    stack: cause instanceof Error ? cause.stack : undefined,
  });
}
