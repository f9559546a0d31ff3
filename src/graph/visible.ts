import type { Tx } from "../db.ts";

/**
 * The active memories the caller sees, as a table to select from. Space by space, each fenced off by its `offset 0`: the
 * index then leads to the caller's rows alone. Asked for in one go the planner may walk all of the org and throw the
 * others' away, which costs their time and tells of them.
 */
export const activeMemories = (tx: Tx) => tx`
  (select mine.*
   from brain.spaces as visible
   cross join lateral (
     select * from brain.memories as inside where inside.space_id = visible.id and inside.state = 'active' offset 0
   ) as mine)`;

/** How many they are: kept, not counted. */
export const activeCount = (tx: Tx) => tx`
  (select coalesce(sum(memories), 0)::int from brain.space_sizes where state = 'active')`;

/** The keys of their tags: rows of (id, key), in the same way. */
export const activeTags = (tx: Tx) => tx`
  (select mine.id, mine.key
   from brain.spaces as visible
   cross join lateral (
     select memory_id as id, key
     from brain.memory_tags as inside
     where inside.space_id = visible.id and inside.is_active
     offset 0
   ) as mine)`;

/** What those mention: rows of (memory_id, key), by the entities there are after merges, in the same way. */
export const activeMentions = (tx: Tx) => tx`
  (select distinct mine.memory_id, coalesce(variant.merged_into, mine.key) as key
   from brain.spaces as visible
   cross join lateral (
     select space_id, memory_id, key
     from brain.memory_entities as inside
     where inside.space_id = visible.id and inside.is_active
     offset 0
   ) as mine
   left join brain.entities as variant
     on variant.space_id = mine.space_id and variant.key = mine.key and variant.merged_into is not null)`;
