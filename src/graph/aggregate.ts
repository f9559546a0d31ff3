import type { Caller, Tx } from "../db.ts";
import { nameOf } from "../entities/names.ts";
import { type Aggregate, type Dimension, LIMITS } from "./schema.ts";
import { activeMemories, activeMentions } from "./visible.ts";

/**
 * How many active memories there are of each value of a dimension, the most first. `state` alone counts paused and
 * archived ones too, each under its own.
 */
export function aggregate(
  caller: Caller,
  dimension: Dimension,
  { limit = LIMITS.aggregate[1] }: { limit?: number | undefined } = {},
): Promise<Aggregate> {
  return caller.read(async (tx) => {
    // Counted by the key of an entity; its name is looked up for those that are shown.
    const name = dimension === "entity" ? nameOf(tx, tx`most.key`) : tx`most.key`;
    const rows = await tx<{ key: string; count: number; total: number }[]>`
      select ${name} as key, count, total
      from (
        select key, count, count(*) over ()::int as total
        from (select key, count(*)::int as count from (${valuesOf(tx, dimension)}) as told group by key) as counted
        order by count desc, key collate "C"
        limit ${limit}
      ) as most
      order by count desc, most.key collate "C"`;
    return {
      dimension,
      items: rows.map(({ key, count }) => ({ key, count })),
      total: rows[0]?.total ?? 0,
    };
  });
}

/** A row with a `key` for each memory and each value it has of the dimension. */
function valuesOf(tx: Tx, dimension: Dimension) {
  const active = tx`${activeMemories(tx)} as memories`;
  switch (dimension) {
    case "state":
      return tx`select state as key
        from brain.spaces as visible
        cross join lateral (
          select state from brain.memories where space_id = visible.id and state <> 'deleted' offset 0
        ) as memories`;
    case "category":
    case "source":
    case "app":
      return tx`select ${tx(dimension)} as key from ${active}`;
    case "artifact_type":
    case "artifact_ref":
      return tx`select ${tx(dimension)} as key from ${active} where ${tx(dimension)} is not null`;
    case "access_entity":
      return tx`select access_entity as key from ${active} join brain.spaces on spaces.id = space_id`;
    case "scope":
      return tx`
        select split_part(access_entity, ':', 1) as key
        from ${active}
        join brain.spaces on spaces.id = space_id`;
    case "tag":
      return tx`select key from ${active} cross join jsonb_object_keys(tags) as key`;
    case "evidence":
      return tx`
        select key
        from ${active}
        cross join lateral (select distinct piece as key from unnest(evidence) as piece) as pieces`;
    case "entity":
      return tx`select key from ${activeMentions(tx)} as mentions`;
  }
}
