import type { Caller, Tx } from "../db.ts";
import { cursorFrom, cursorOf } from "../memories/cursor.ts";
import { invalidInput, notFound } from "../problem.ts";
import { type Entity, entityNamed, isShown, nameOf, spellings } from "./names.ts";
import { placeIn } from "./place.ts";
import {
  type NewRelation,
  RELATION_CATEGORIES,
  type Relation,
  type RelationCategory,
  type RelationPage,
  type StoredRelation,
} from "./schema.ts";

/** Which relations of an entity are asked for, and how many. */
export interface RelationFilter {
  relation_types?: readonly string[] | undefined;
  category?: RelationCategory | undefined;
  direction?: "outgoing" | "incoming" | "both" | undefined;
  limit?: number | undefined;
  cursor?: string | undefined;
}

/** The relations of an entity, newest first; one that a memory says is there while that memory is active. Throws NOT_FOUND, INVALID_INPUT. */
export function entityRelations(caller: Caller, name: string, filter: RelationFilter = {}): Promise<RelationPage> {
  if (filter.relation_types && filter.category)
    throw invalidInput([{ at: "category", message: "goes without relation_types" }]);
  return caller.read(async (tx) => {
    const entity = await entityNamed(tx, name);
    return { name: entity.name, ...(await relationsIn(tx, entity, filter)) };
  });
}

/** A page of the relations of an entity that is known to be there. */
export async function relationsIn(
  tx: Tx,
  { key }: Entity,
  { relation_types, category, direction = "both", limit = 50, cursor }: RelationFilter,
): Promise<Omit<RelationPage, "name">> {
  const types = relation_types ?? (category ? RELATION_CATEGORIES[category] : null);
  const before = cursor ? cursorFrom(cursor) : null;
  const found = tx`
    select relations.*, 'outgoing' as direction, to_key as other
    from spelt
    join brain.relations on relations.space_id = spelt.space_id and from_key = spelt.key
    where ${direction !== "incoming"}
    union all
    -- One between two spellings of the entity is told once.
    select relations.*, 'incoming', from_key
    from spelt
    join brain.relations on relations.space_id = spelt.space_id and to_key = spelt.key
    where ${direction !== "outgoing"} and (${direction === "incoming"} or not exists (
      select from spelt as same where same.space_id = relations.space_id and same.key = from_key))`;
  const rows = await tx<(Relation & { total: number })[]>`
    with spelt as materialized (${spellings(tx, tx`${key}::text`)}),
    found as materialized (
      select *
      from (${found}) as found
      where (${types as string[] | null}::text[] is null or type = any (${types as string[] | null}))
        and ${isShown(tx, tx`found.memory_id`)}
    ),
    page as (
      select *
      from found
      where ${before ? tx`(created_at, id) < (${before.created_at}, ${before.id})` : tx`true`}
      order by created_at desc, id desc
      limit ${limit + 1}
    )
    select page.id, type, direction, ${otherEnd(tx, "page")} as target, memory_id, access_entity, owner, app,
           page.created_at, total
    from (select count(*)::int as total from found) as totals
    left join (page join brain.spaces on spaces.id = page.space_id) on true
    order by page.created_at desc, page.id desc`;
  const items = rows.filter(({ id }) => id !== null).map(({ total: _, ...relation }) => relation);
  const last = items[limit - 1];
  return {
    items: items.slice(0, limit),
    total: rows[0]?.total ?? 0,
    next_cursor: items.length > limit && last ? cursorOf(last) : null,
  };
}

/** The name of the entity at the other end of a relation, `other` and `space_id` of a row. */
const otherEnd = (tx: Tx, row: "page" | "there") => {
  const [other, space_id] =
    row === "page" ? [tx`page.other`, tx`page.space_id`] : [tx`there.other`, tx`there.space_id`];
  const key = tx`coalesce((
    select ends.merged_into from brain.entities as ends where ends.space_id = ${space_id} and ends.key = ${other}
  ), ${other})`;
  return tx`(select ${nameOf(tx, tx`resolved.key`)} from (select ${key} as key) as resolved)`;
};

/**
 * Says how one entity stands to another; either may be new. What is said already, by the same memory or by none, is
 * answered with `duplicate: true`. Throws INVALID_INPUT, NOT_FOUND for the memory, FORBIDDEN_ACCESS_ENTITY,
 * ACCESS_ENTITY_AMBIGUOUS, APP_PAUSED.
 */
export function addRelation(
  caller: Caller,
  name: string,
  { target, type, direction = "outgoing", memory_id, access_entity }: NewRelation,
): Promise<StoredRelation> {
  return caller.write(async (tx) => {
    const space_id = await placeIn(tx, caller, { memory_id, access_entity });
    const [own, other] = await keysIn(tx, space_id, [name, target]);
    const [from, to] = direction === "outgoing" ? [own, other] : [other, own];
    // In one order, or two writers with the same new names would wait for each other.
    await tx`
      insert into brain.entities (space_id, key, display_name)
      select ${space_id}, key, name
      from unnest(${[own, other]}::text[], ${[name.trim(), target.trim()]}::text[]) as named (key, name)
      order by key
      on conflict do nothing`;
    const [added] = await tx<{ id: string }[]>`
      insert into brain.relations (id, space_id, from_key, to_key, type, memory_id, app)
      values (${Bun.randomUUIDv7()}, ${space_id}, ${from}, ${to}, ${type}, ${memory_id ?? null}, ${caller.app})
      on conflict do nothing
      returning id`;
    const [relation] = await tx<Relation[]>`
      select there.id, type, ${direction} as direction, ${otherEnd(tx, "there")} as target, memory_id, access_entity,
             owner, app, there.created_at
      from (
        select *, ${other}::text as other
        from brain.relations
        where space_id = ${space_id} and from_key = ${from} and to_key = ${to} and type = ${type}
          and memory_id is not distinct from ${memory_id ?? null}
      ) as there
      join brain.spaces on spaces.id = there.space_id`;
    if (!relation) throw new Error("a relation that was stored is not there");
    return { ...relation, ...(!added && { duplicate: true as const }) };
  });
}

/** The keys of two names. Throws INVALID_INPUT for names that make none, and where they are one entity of the space. */
async function keysIn(tx: Tx, space_id: number, names: readonly [string, string]): Promise<[string, string]> {
  const rows = await tx<{ key: string; counts_for: string; is_key: boolean }[]>`
    select key, coalesce(merged_into, key) as counts_for, key <> '' and octet_length(key) <= ${MAX_KEY_BYTES} as is_key
    from unnest(${names as unknown as string[]}::text[]) with ordinality as asked (name, place)
    cross join lateral (select app.entity_key(btrim(name)) as key) as keys
    left join lateral (
      select merged_into from brain.entities where entities.space_id = ${space_id} and entities.key = keys.key
    ) as merged on true
    order by place`;
  const [own, other] = rows;
  if (!own || !other) throw new Error("two names gave not two keys");
  const faults = [
    ["name", own],
    ["target", other],
  ] as const;
  const errors = faults
    .filter(([, { is_key }]) => !is_key)
    .map(([at]) => ({ at, message: "has nothing to name an entity by" }));
  if (errors.length > 0) throw invalidInput(errors);
  if (own.counts_for === other.counts_for)
    throw invalidInput([{ at: "target", message: "is the same entity, in this or another spelling" }]);
  return [own.key, other.key];
}

/** As the table of entities has it: an index entry has its limit. */
const MAX_KEY_BYTES = 1024;

/** Takes a relation of an entity back. Throws NOT_FOUND. */
export function deleteRelation(caller: Caller, name: string, id: string): Promise<void> {
  return caller.write(async (tx) => {
    const { key } = await entityNamed(tx, name);
    const [gone] = await tx`
      delete from brain.relations
      where id = ${id} and ${isShown(tx, tx`relations.memory_id`)} and exists (
        select from (${spellings(tx, tx`${key}::text`)}) as spelt
        where spelt.space_id = relations.space_id and spelt.key in (from_key, to_key))
      returning id`;
    if (!gone) throw notFound("relation");
  });
}
