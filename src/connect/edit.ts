import { type ParseError, parse as parseJson } from "jsonc-parser";
import { parse as parseToml } from "smol-toml";
import { Refusal } from "../refusal.ts";
import { jsonWith } from "./json.ts";
import { tomlWith } from "./toml.ts";

/** One server of a client's configuration: `name` in the object `servers`. */
export interface Place {
  readonly format: "json" | "toml";
  readonly servers: string;
  readonly name: string;
}

type Settings = Record<string, unknown>;

/** What stands there; undefined where nothing does. Throws a Refusal where the text cannot be read. */
export const entryIn = (text: string, place: Place): unknown => serversOf(parsed(text, place), place)[place.name];

/**
 * The text with another entry, or with none for undefined. Whatever else is in it stays as it is, comments too: the
 * result is read again and compared. Throws a Refusal where that cannot be had.
 */
export function withEntry(text: string, place: Place, entry: object | undefined): string {
  const before = parsed(text, place);
  const edited = place.format === "toml" ? tomlWith : jsonWith;
  let changed: string;
  let after: Settings;
  try {
    changed = edited(text, place.servers, place.name, entry);
    after = parsed(changed, place);
  } catch (error) {
    throw notOurs(place, error);
  }
  const is_there = Bun.deepEquals(serversOf(after, place)[place.name], entry);
  if (!is_there || !Bun.deepEquals(without(before, place), without(after, place))) throw notOurs(place);
  return changed;
}

const notOurs = ({ servers }: Place, cause?: unknown) =>
  new Refusal(
    "failed",
    `${servers} is written in a way that cannot be changed safely; put it in by hand (--print shows what).`,
    cause,
  );

function parsed(text: string, { format }: Place): Settings {
  const bare = text.replace(/^\ufeff/, "");
  if (bare.trim() === "") return {};
  try {
    if (format === "toml") return parseToml(bare);
    const errors: ParseError[] = [];
    const value: unknown = parseJson(bare, errors, { allowTrailingComma: true });
    if (errors.length === 0 && isObject(value)) return value;
  } catch {} // told below
  throw new Refusal("failed", `The file is not readable as ${format.toUpperCase()}; nothing was changed.`);
}

const isObject = (value: unknown): value is Settings =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function serversOf(settings: Settings, { servers }: Place): Settings {
  const found = settings[servers];
  return isObject(found) ? found : {};
}

/** All but the entry; an object of no servers is as good as none. */
function without(settings: Settings, place: Place): Settings {
  const { [place.servers]: servers, ...rest } = settings;
  if (!isObject(servers)) return settings;
  const { [place.name]: _, ...others } = servers;
  return Object.keys(others).length > 0 ? { ...rest, [place.servers]: others } : rest;
}
