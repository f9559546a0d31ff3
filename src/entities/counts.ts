import type { Tx } from "../db.ts";

/**
 * How many active memories mention each entity the caller sees, as rows of (key, memories). One walk of the index for
 * all mentions; only what was merged is looked at memory by memory, since one memory may use several spellings.
 */
export const memoryCounts = (tx: Tx) => tx`
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
    select counts_for as key, sum(spellings - 1) as mentions
    from (
      select counts_for, memory_id, count(*) as spellings
      from merged
      join brain.memory_entities using (space_id, key)
      where is_active
      group by counts_for, memory_id
    ) as spelt
    group by counts_for
  )
  select key, (sum(memories) - coalesce(min(repeated.mentions), 0))::int as memories
  from (
    select coalesce(counts_for, told.key) as key, memories
    from told
    left join merged on merged.space_id = told.space_id and merged.key = told.key
  ) as counted
  left join repeated using (key)
  group by key`;
