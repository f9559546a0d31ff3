import { isSpaceName } from "../auth/grants.ts";
import { checkJson } from "../json.ts";
import { columnsFrom } from "../memories/input.ts";
import type { NewMemory, STATES } from "../memories/schema.ts";
import { Problem, problemFrom } from "../problem.ts";
import { parse } from "../schema.ts";
import { ArchivedAlias, ArchivedEvent, ArchivedMemory, ArchivedRelation, Continuation } from "./archive_schema.ts";
import { jsonIn } from "./bytes.ts";
import { earlierMemory } from "./earlier.ts";
import type { Reason } from "./schema.ts";

/** A memory of an archive, checked as one that is written by hand would be. */
export interface ArchiveRecord {
  readonly line: number;
  /** Its id there. */
  readonly old: string;
  readonly row: ReturnType<typeof columnsFrom> & { content: string; access_entity: string };
  /** Whether anything says where it belongs; if not, one that is here already stays where it is. */
  readonly is_placed: boolean;
  readonly state: (typeof STATES)[number];
  /** Id, there, of the memory it replaces. */
  readonly supersedes: string | null;
  readonly relations: readonly ArchivedRelation[];
  readonly events: readonly ArchivedEvent[];
}

export type Format = "coding-brain" | "earlier";

/** What to make of pieces of an archive. */
export interface Reading {
  readonly format: Format;
  /** The space for what names none. */
  readonly home: string;
  /** The space for all of it, if any. */
  readonly target: string | undefined;
  /** Of the earlier format: what its categories are called, by their ids. */
  readonly categories?: ReadonlyMap<string, string>;
}

/**
 * Makes a record of a piece of an archive, or says why not; null for a piece that only goes on with what came before.
 * Whatever is in the piece: it throws nothing.
 */
export function recordFrom(line: number, bytes: Buffer | null, reading: Reading): ArchiveRecord | Reason | null {
  if (bytes === null) return { line, id: null, code: "TOO_LARGE", message: "has more bytes than a memory may have" };
  const value = jsonIn(bytes);
  const id = idIn(value);
  try {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      return { line, id, code: "MALFORMED", message: "is not a JSON object in UTF-8" };
    checkJson(value);
    if ("continues" in value) {
      parse(Continuation, value);
      return null;
    }
    const memory = parse(
      ArchivedMemory,
      reading.format === "earlier" ? earlierMemory(value, reading.categories) : value,
    );
    return recordOf(line, memory, reading);
  } catch (error) {
    return reasonOf(line, id, problemFrom(error));
  }
}

function recordOf(line: number, memory: ArchivedMemory, { home, target }: Reading): ArchiveRecord {
  const { content, category, artifact_type, artifact_ref, entities, thread, evidence, tags, code_refs } = memory;
  const access_entity = target ?? memory.access_entity ?? home;
  if (!isSpaceName(access_entity)) throw new Problem("INVALID_INPUT", "is not the name of a space");
  const input: NewMemory = {
    content,
    access_entity,
    ...present({ category, artifact_type, artifact_ref, entities, thread, evidence, tags, code_refs }),
    ...present({ source: memory.source, metadata: memory.metadata }),
  };
  const { relations = [], events = [] } = memory;
  return {
    line,
    old: memory.id.toLowerCase(),
    row: { ...columnsFrom(input), content: content.trim(), access_entity },
    is_placed: (target ?? memory.access_entity) !== undefined,
    state: memory.state ?? "active",
    supersedes: memory.supersedes?.toLowerCase() ?? null,
    relations,
    events,
  };
}

/** A line of graph.jsonl: something said by no memory. Throws nothing. */
export function saidFrom(line: number, bytes: Buffer | null, { home, target }: Reading): Said | Reason {
  if (bytes === null) return { line, id: null, code: "TOO_LARGE", message: "has too many bytes" };
  const value = jsonIn(bytes) as Record<string, unknown> | undefined;
  try {
    checkJson(value);
    const access_entity = target ?? value?.access_entity ?? home;
    if (typeof access_entity !== "string" || !isSpaceName(access_entity))
      throw new Problem("INVALID_INPUT", "does not name a space");
    if (value?.kind === "relation") return { line, access_entity, relation: parse(ArchivedRelation, value) };
    if (value?.kind === "alias") return { line, access_entity, alias: parse(ArchivedAlias, value) };
    return { line, access_entity, event: parse(ArchivedEvent, value) };
  } catch (error) {
    return reasonOf(line, idIn(value), problemFrom(error));
  }
}

/** A relation, an event or another name of something, of a space. */
export interface Said {
  readonly line: number;
  readonly access_entity: string;
  readonly relation?: ArchivedRelation;
  readonly event?: ArchivedEvent;
  readonly alias?: ArchivedAlias;
}

export const isReason = (made: object): made is Reason => "code" in made;

/** A problem of one row, in one line; its first place where it has places. */
export function reasonOf(line: number, id: string | null, { code, detail, extras }: Problem): Reason {
  const [first] = extras.errors ?? [];
  if (!first) return { line, id, code, message: detail };
  return { line, id, code, message: first.message, ...(first.at !== "" && { at: first.at }) };
}

/** Its id where that can be shown: a text of ordinary length. */
function idIn(value: unknown): string | null {
  const id = typeof value === "object" && value !== null && "id" in value ? value.id : null;
  return typeof id === "string" && /^[\w.:-]{1,64}$/.test(id) ? id : null;
}

/** Without what is null or absent. */
const present = <T extends object>(fields: T) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null && value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
