import type { Tx } from "../db.ts";

/**
 * How many active memories of a space mention each entity, as rows of (space_id, key, memories). One walk of the index
 * for all mentions; only what was merged is looked at memory by memory, since one memory may use several spellings.
 */
export const countsBySpace = (tx: Tx) => tx`
  with told as materialized (
    select space_id, key, count(*) as memories
    from brain.memory_entities
    where is_active
    group by space_id, key
  ),
  merged as materialized (
    select space_id, key, merged_into as counts_for from brain.entities where merged_into is not null
    union
    select space_id, merged_into, merged_into from brain.entities where merged_into is not null
  ),
  repeated as materialized (
    select space_id, counts_for as key, sum(spellings - 1) as mentions
    from (
      select space_id, counts_for, memory_id, count(*) as spellings
      from merged
      join brain.memory_entities using (space_id, key)
      where is_active
      group by space_id, counts_for, memory_id
    ) as spelt
    group by space_id, counts_for
  )
  select space_id, key, (sum(memories) - coalesce(min(repeated.mentions), 0))::int as memories
  from (
    select told.space_id, coalesce(counts_for, told.key) as key, memories
    from told
    left join merged on merged.space_id = told.space_id and merged.key = told.key
  ) as counted
  left join repeated using (space_id, key)
  group by space_id, key`;

/** The same over all spaces, as rows of (key, memories): a memory is of one space. */
export const memoryCounts = (tx: Tx) => tx`
  select key, sum(memories)::int as memories from (${countsBySpace(tx)}) as by_space group by key`;
