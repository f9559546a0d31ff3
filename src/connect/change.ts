import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { Refusal } from "../refusal.ts";
import { entryIn, type Place, withEntry } from "./edit.ts";

/** A change of a client's configuration that has not been made yet. */
export interface Change {
  /** What it does, for a question. */
  readonly what: "adds" | "replaces" | "removes" | "restores";
  apply(): void;
}

/** Where the file is kept as it was before the last change. */
export const copyOf = (file: string) => `${file}.before-coding-brain`;

/** Puts an entry into a file, which need not be there. Null where it has exactly that. Throws a Refusal. */
export function connecting(file: string, place: Place, entry: object): Change | null {
  const text = textOf(file) ?? "";
  const before = entryIn(text, place);
  if (Bun.deepEquals(before, entry)) return null;
  const changed = withEntry(text, place, entry);
  return {
    what: before === undefined ? "adds" : "replaces",
    apply() {
      if (existsSync(file)) write(copyOf(file), text, file);
      write(file, changed);
    },
  };
}

/**
 * Takes the last change back: the file as it was, or if it has been changed since, the entry alone. Without a copy the
 * entry goes, and a file that held nothing else. Null where there is nothing to take back. Throws a Refusal.
 */
export function undoing(file: string, place: Place): Change | null {
  const text = textOf(file);
  if (text === undefined) return null;
  const entry = entryIn(text, place);
  const copy = textOf(copyOf(file));
  if (copy !== undefined) {
    const former = entryIn(copy, place);
    const is_untouched = isObject(entry) && withEntry(copy, place, entry) === text;
    const restored = is_untouched ? copy : withEntry(text, place, isObject(former) ? former : undefined);
    return {
      what: "restores",
      apply() {
        write(file, restored);
        rmSync(copyOf(file));
      },
    };
  }
  if (!isObject(entry)) return null;
  const is_only_ours = withEntry("", place, entry) === text;
  const removed = withEntry(text, place, undefined);
  return { what: "removes", apply: () => (is_only_ours ? rmSync(realpathSync(file)) : write(file, removed)) };
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

function textOf(file: string): string | undefined {
  if (!existsSync(file)) return undefined;
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new Refusal("failed", `${file} cannot be read.`, error);
  }
}

/** Whole or not at all, where a link leads to, with the rights of `like`; a new one is for its owner alone: there is a token in it. */
function write(file: string, text: string, like = file) {
  const target = existsSync(file) ? realpathSync(file) : file;
  const mode = existsSync(like) ? statSync(like).mode & 0o777 : 0o600;
  const draft = `${target}.${process.pid}.draft`;
  try {
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(draft, text, { mode });
    chmodSync(draft, mode); // whatever the umask is
    renameSync(draft, target);
  } catch (error) {
    rmSync(draft, { force: true });
    throw new Refusal("failed", `${file} cannot be written; it is as it was.`, error);
  }
}
