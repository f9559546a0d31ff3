import type postgres from "postgres";
import type { Tx } from "../db.ts";
import { notFound } from "../problem.ts";

/** A thing that memories are about, as the caller sees it: one over all the spaces it is known in. */
export interface Entity {
  /** Equal for all its spellings; never shown. */
  readonly key: string;
  /** The first spelling seen, of those the caller can see. */
  readonly name: string;
}

type Fragment = postgres.Fragment;

/**
 * Which keys count for an entity, by space: its own wherever it was not merged into another, and those merged into it.
 * Rows of (space_id, key); `key` is a column or a parameter of the statement.
 */
export const spellings = (tx: Tx, key: Fragment) => tx`
  select spaces.id as space_id, ${key} as key
  from brain.spaces
  where not exists (
    select from brain.entities as merged
    where merged.space_id = spaces.id and merged.key = ${key} and merged.merged_into is not null)
  union all
  select variant.space_id, variant.key from brain.entities as variant where variant.merged_into = ${key}`;

/**
 * The name an entity is shown by. The key is fenced off by an offset: what it is made of, a coalesce above all, may not be
 * looked up in an index under a policy, and all entities of the space were read for each.
 */
export const nameOf = (tx: Tx, key: Fragment) => tx`
  coalesce((
    select named.display_name
    from (select ${key} as key offset 0) as asked
    join brain.entities as named on named.key = asked.key
    order by named.merged_into is not null, named.created_at, named.space_id
    limit 1
  ), ${key})`;

/** What a relation or an event says is shown while the memory that says so is active, or where no memory does. */
export const isShown = (tx: Tx, memory_id: Fragment) => tx`
  (${memory_id} is null or exists (
    select from brain.memories as saying where saying.id = ${memory_id} and saying.state = 'active'))`;

/** Whether an entity is there: a memory that is not deleted mentions it, or a relation or an event names it. */
const isThere = (tx: Tx, key: Fragment) => tx`
  exists (
    select
    from (${spellings(tx, key)}) as spelt
    where exists (
        select from brain.memory_entities as mention
        where mention.space_id = spelt.space_id and mention.key = spelt.key)
      or exists (
        select from brain.relations as relation
        where relation.space_id = spelt.space_id and relation.from_key = spelt.key
          and ${isShown(tx, tx`relation.memory_id`)})
      or exists (
        select from brain.relations as relation
        where relation.space_id = spelt.space_id and relation.to_key = spelt.key
          and ${isShown(tx, tx`relation.memory_id`)})
      or exists (
        select from brain.event_entities as part
        join brain.events as event on event.id = part.event_id
        where part.space_id = spelt.space_id and part.key = spelt.key and ${isShown(tx, tx`event.memory_id`)}))`;

/**
 * The key a name stands for among what is there: its own, else the one that a space has merged it into. A row, or none.
 */
const keyNamed = (tx: Tx, name: Fragment) => tx`
  select candidate.key
  from (
    select coalesce(entities.merged_into, entities.key) as key, bool_and(entities.merged_into is not null) as is_merged,
           min(entities.created_at) as since
    from brain.entities
    where entities.key = app.entity_key(${name})
    group by 1
    union all
    select app.entity_key(${name}), true, null
  ) as candidate
  where ${isThere(tx, tx`candidate.key`)}
  order by candidate.is_merged, candidate.since, candidate.key
  limit 1`;

/** Which keys count for what these names stand for, by space. */
export const keysNamed = (tx: Tx, names: readonly string[]) => tx`
  select spelt.space_id, spelt.key
  from unnest(${names as string[]}::text[]) as asked (name)
  cross join lateral (${keyNamed(tx, tx`asked.name`)}) as found
  cross join lateral (${spellings(tx, tx`found.key`)}) as spelt`;

/** The memories that mention what any of these names stands for, whatever state they are in: one may come twice. */
export const memoriesAbout = (tx: Tx, names: readonly string[]) => tx`
  select mention.memory_id, mention.is_active
  from (${keysNamed(tx, names)}) as named
  join brain.memory_entities as mention on mention.space_id = named.space_id and mention.key = named.key`;

/** The entities that names stand for, in their order, null where there is none: any spelling finds one, merged ones too. */
export async function entitiesNamed(tx: Tx, names: readonly string[]): Promise<(Entity | null)[]> {
  const rows = await tx<{ key: string | null; name: string | null }[]>`
    select found.key, ${nameOf(tx, tx`found.key`)} as name
    from unnest(${names as string[]}::text[]) with ordinality as asked (name, place)
    left join lateral (${keyNamed(tx, tx`asked.name`)}) as found on true
    order by place`;
  return rows.map(({ key, name }) => (key === null || name === null ? null : { key, name }));
}

/** The entity that a name stands for. Throws NOT_FOUND. */
export async function entityNamed(tx: Tx, name: string): Promise<Entity> {
  const [entity] = await entitiesNamed(tx, [name]);
  if (!entity) throw notFound("entity");
  return entity;
}
