import { LOG_LEVELS, type LogLevel } from "./config.ts";

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
