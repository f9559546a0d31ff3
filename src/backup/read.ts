import type { Tx } from "../db.ts";
import { columns } from "../memories/columns.ts";
import { type Filter, matching, within } from "../memories/filter.ts";
import type { Memory } from "../memories/schema.ts";
import type { ArchivedAlias, ArchivedEvent, ArchivedRelation } from "./archive_schema.ts";

/** Memories that are read at once: up to 6 MB of text. */
const BATCH = 100;
const IDS_AT_ONCE = 10_000;
const REVISIONS_AT_ONCE = 20;
const ID_BYTES = 16;

/** A memory with what is said with it. */
export interface ExportedMemory extends Memory {
  updated_by: string;
  relations: (ArchivedRelation & Told)[];
  events: (ArchivedEvent & Told)[];
}

interface Told {
  owner: string;
  app: string;
  created_at: string;
}

/** What a memory was, at a revision before the present one. */
export interface ExportedRevision {
  revision: number;
  [field: string]: unknown;
}

/**
 * The ids of what an export is about, oldest first: a superseded memory before the one that replaces it. Sixteen bytes
 * each: a million of them as texts would take a hundred megabytes.
 */
export async function idsOf(tx: Tx, filter: Filter): Promise<Buffer> {
  const packed: Buffer[] = [];
  await tx<{ id: string }[]>`
    select memories.id
    from brain.memories
    join brain.spaces on spaces.id = space_id
    where ${matching(tx, filter)} and ${within(tx, filter)}
    order by memories.created_at, memories.id`.cursor(IDS_AT_ONCE, (rows) => {
    packed.push(Buffer.from(rows.map(({ id }) => id.replaceAll("-", "")).join(""), "hex"));
  });
  return Buffer.concat(packed);
}

function* batchesOf(ids: Buffer): Generator<string[]> {
  for (let from = 0; from < ids.length; from += BATCH * ID_BYTES) {
    const hex = ids.toString("hex", from, Math.min(from + BATCH * ID_BYTES, ids.length));
    yield (hex.match(/.{32}/g) ?? []).map((id) => id.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5"));
  }
}

/** The memories with these ids in their order, with their relations and events; `alone` leaves those out. */
export async function* memoriesOf(tx: Tx, ids: Buffer, alone = false): AsyncGenerator<ExportedMemory[]> {
  for (const batch of batchesOf(ids)) {
    const found = await tx<(Memory & { updated_by: string })[]>`
      select updated_by, ${columns(tx)}
      from brain.memories
      join brain.spaces on spaces.id = space_id
      where memories.id = any (${batch}::uuid[])`;
    const relations = alone ? new Map() : groupedById(await relationsOf(tx, batch));
    const events = alone ? new Map() : groupedById(await eventsOf(tx, batch));
    const by_id = new Map(found.map((memory) => [memory.id, memory]));
    yield batch.flatMap((id) => {
      const memory = by_id.get(id);
      return memory ? [{ ...memory, relations: relations.get(id) ?? [], events: events.get(id) ?? [] }] : [];
    });
  }
}

type OfMemory<T> = T & { memory_id: string; access_entity: string };

/** Relations that these memories say; without ids those that no memory says. */
export const relationsOf = (tx: Tx, ids: string[] | null) => tx<OfMemory<ArchivedRelation & Told>[]>`
  select memory_id, access_entity, coalesce(source.display_name, from_key) as from,
         coalesce(target.display_name, to_key) as to, type, owner, app, relations.created_at
  from brain.relations
  join brain.spaces on spaces.id = relations.space_id
  left join brain.entities as source on source.space_id = relations.space_id and source.key = from_key
  left join brain.entities as target on target.space_id = relations.space_id and target.key = to_key
  where ${ids ? tx`memory_id = any (${ids}::uuid[])` : tx`memory_id is null`}
  order by relations.created_at, relations.id`;

/** Events, likewise; without those that a dated decision makes by itself. */
export const eventsOf = (tx: Tx, ids: string[] | null) => tx<OfMemory<ArchivedEvent & Told>[]>`
  select memory_id, access_entity, events.id, name, type, start_date, end_date, description, owner, app,
         events.created_at,
         array(select coalesce(display_name, event_entities.key)
               from brain.event_entities
               left join brain.entities
                 on entities.space_id = event_entities.space_id and entities.key = event_entities.key
               where event_id = events.id
               order by event_entities.key) as entities
  from brain.events
  join brain.spaces on spaces.id = events.space_id
  where ${ids ? tx`memory_id = any (${ids}::uuid[])` : tx`memory_id is null`} and not is_derived
  order by events.created_at, events.id`;

/** Names that count for another one, by spaces. */
export const aliasesOf = (tx: Tx) => tx<(ArchivedAlias & { access_entity: string })[]>`
  select access_entity, entities.display_name as name, canonical.display_name as of
  from brain.spaces
  join brain.entities on entities.space_id = spaces.id and entities.merged_into is not null
  join brain.entities as canonical on canonical.space_id = spaces.id and canonical.key = entities.merged_into
  order by spaces.id, entities.key`;

function groupedById<T>(rows: readonly OfMemory<T>[]) {
  const groups = new Map<string, Omit<OfMemory<T>, "memory_id" | "access_entity">[]>();
  for (const { memory_id, access_entity: _, ...row } of rows) {
    const group = groups.get(memory_id) ?? [];
    group.push(row);
    groups.set(memory_id, group);
  }
  return groups;
}

/** Earlier revisions of these memories, memory by memory in the order given, the oldest first, a few at a time. */
export function revisionsOf(
  tx: Tx,
  ids: readonly string[],
): AsyncIterable<(ExportedRevision & { memory_id: string })[]> {
  return tx<(ExportedRevision & { memory_id: string })[]>`
    select memory_id, revision, access_entity, state, content, fields, updated_at, updated_by
    from unnest(${ids as string[]}::uuid[]) with ordinality as wanted (memory_id, place)
    join brain.memory_revisions using (memory_id)
    join brain.spaces on spaces.id = space_id
    order by place, revision`.cursor(REVISIONS_AT_ONCE);
}
