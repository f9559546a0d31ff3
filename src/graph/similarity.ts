import type { Caller } from "../db.ts";
import { entitiesNamed, nameOf } from "../entities/names.ts";
import type { SimilarEntities } from "./analytics_schema.ts";
import { LIMITS } from "./schema.ts";
import { activeMentions } from "./visible.ts";

interface Wanted {
  /** In any spelling; an unknown one is like nothing. */
  entity_name?: string | undefined;
  /** Only what reaches this. */
  min_score?: number | undefined;
  /** Only what so many memories mention together. */
  min_count?: number | undefined;
  limit?: number | undefined;
}

/**
 * Entities that the same memories mention: by the Jaccard index of the two sets, the most alike first. Pairs that few
 * memories say are left out: two that one memory mentions, and nothing else does, would all be alike.
 */
export function similarEntities(
  caller: Caller,
  { entity_name, min_score = 0.1, min_count = 2, limit = LIMITS.similarity[1] }: Wanted = {},
): Promise<SimilarEntities> {
  return caller.read(async (tx) => {
    const [entity] = entity_name === undefined ? [] : await entitiesNamed(tx, [entity_name]);
    if (entity === null) return { items: [], total: 0 };
    const rows = await tx<(SimilarEntities["items"][number] & { total: number })[]>`
      with mentioned as materialized (select * from ${activeMentions(tx)} as mentions),
      -- By numbers: comparing the keys of every pair took twice as long.
      counted as materialized (
        select key, count(*)::int as df, row_number() over (order by key collate "C")::int as place
        from mentioned
        group by key
        having count(*) >= ${min_count}
      ),
      kept as materialized (select memory_id, place from mentioned join counted using (key)),
      pairs as materialized (
        select place1, place2, count, round(count::numeric / (one.df + other.df - count), 4)::float8 as score
        from (
          select one.place as place1, other.place as place2, count(*)::int as count
          from kept as one
          join kept as other on other.memory_id = one.memory_id and ${
            entity
              ? tx`one.place = (select place from counted where key = ${entity.key}) and other.place <> one.place`
              : tx`other.place > one.place`
          }
          group by 1, 2
          having count(*) >= ${min_count}
        ) as together
        join counted as one on one.place = place1
        join counted as other on other.place = place2
      ),
      most as materialized (
        select *, count(*) over ()::int as total
        from pairs
        where score >= ${min_score}
        order by score desc, count desc, place1, place2
        limit ${limit}
      )
      select ${nameOf(tx, tx`one.key`)} as entity1, ${nameOf(tx, tx`other.key`)} as entity2, score,
             count as memory_count, total
      from most
      join counted as one on one.place = place1
      join counted as other on other.place = place2
      order by score desc, count desc, place1, place2`;
    return { items: rows.map(({ total: _, ...pair }) => pair), total: rows[0]?.total ?? 0 };
  });
}
