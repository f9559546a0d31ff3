import type { Tx } from "../db.ts";

/** What a memory earns that is given an entity the query names; and one that shares an entity with the best hits. */
const NAMED_ENTITY = 0.1;
const SHARED_ENTITY = 0.06;
/** So many memories are taken of what an entity leads to, the newest first; and so many of the best hits lead anywhere. */
const MOST_LINKED = 100;
const LEADING_HITS = 5;
/** An entity that more memories are given relates none to another. */
const MOST_SHARING = 50;

const NO_ID = "00000000-0000-0000-0000-000000000000";
const LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff";

/** What entities lead to: what is earned by each memory, and which of them the query itself names an entity of. */
export interface Links {
  earned: Map<string, number>;
  named: Set<string>;
}

/**
 * The memories that are about what the query names, in any spelling and by any of its merged names; and, for less, those
 * about what the best hits are about. Only what a memory was given, its artifact and its code count, not its text: that
 * the words have read.
 */
export async function linksOf(
  tx: Tx,
  query: string,
  hits: readonly { id: string }[],
  space_ids: readonly number[] | null,
): Promise<Links> {
  const best = hits.slice(0, LEADING_HITS).map(({ id }) => id);
  const rows = await tx<{ memory_id: string; is_named: boolean; of: number }[]>`
    with named as materialized (
      select distinct coalesce(merged_into, key) as key
      from app.keys_in(${query}) as run
      cross join lateral (
        -- Fenced off by an offset: joined, all entities of the space were read and their names parsed, as soon as there
        -- were enough of others' in the table.
        select key, merged_into, display_name from brain.entities where entities.key = run offset 0
      ) as entities
      where numnode(plainto_tsquery('english', display_name)) > 0
    ),
    all_names as materialized (
      select key, 1 as of, true as is_named from named
      union
      select variant.key, 1, true
      from named
      cross join lateral (select key from brain.entities where merged_into = named.key offset 0) as variant
    ),
    shared as materialized (
      select distinct key from brain.memory_entities
      where memory_id = any (${best}::uuid[]) and origin <> 'text'
        and key not in (select key from all_names)
    ),
    sharing as materialized (
      select key,
             (select count(*)::int from (
                select from brain.memory_entities as other
                where other.key = shared.key and is_active limit ${MOST_SHARING + 1}::int) as counted) as of,
             false as is_named
      from shared
    )
    select memory_id, bool_or(is_named) as is_named, min(of) as of
    from (select * from all_names union all select * from sharing where of between 2 and ${MOST_SHARING}::int) as keys
    cross join (select id from brain.spaces where ${space_ids === null ? tx`true` : tx`id = any (${space_ids as number[]})`}) as spaces
    cross join lateral (
      -- A stretch of the index on keys, by whole rows of it: no other index gives this order.
      select memory_id from brain.memory_entities as mention
      where space_id = spaces.id and is_active and origin <> 'text'
        and (mention.key, memory_id) >= (keys.key, ${NO_ID}::uuid) and (mention.key, memory_id) <= (keys.key, ${LAST_ID}::uuid)
      order by mention.key desc, memory_id desc limit ${MOST_LINKED}::int
    ) as mentions
    group by memory_id`;
  const links: Links = { earned: new Map(), named: new Set() };
  for (const { memory_id, is_named, of } of rows) {
    links.earned.set(memory_id, is_named ? NAMED_ENTITY : SHARED_ENTITY / of);
    if (is_named) links.named.add(memory_id);
  }
  return links;
}
