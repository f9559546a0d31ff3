import type postgres from "postgres";
import type { Caller, Tx } from "../db.ts";
import { LIMITS, type RelatedTags, type TagPairs } from "./schema.ts";
import { activeCount, activeTags } from "./visible.ts";

type Fragment = postgres.Fragment;

interface PairOptions {
  limit?: number | undefined;
  /** Only pairs of so many memories or more. */
  min_count?: number | undefined;
  /** Examples of each pair. */
  sample_size?: number | undefined;
}

/**
 * Tags that go together, by their keys: in how many active memories, how much more often than by chance, and the newest
 * of those. The most frequent pairs first.
 */
export function tagPairs(
  caller: Caller,
  { limit = LIMITS.pairs[1], min_count = 2, sample_size = 3 }: PairOptions = {},
): Promise<TagPairs> {
  return caller.read(async (tx) => {
    const rows = await tx<(TagPairs["items"][number] & { total: number })[]>`
      with tagged as materialized (
        select id, key from ${activeTags(tx)} as tagged
      ),
      counted as materialized (
        select key, count(*) as df from tagged group by key having count(*) >= ${min_count}
      ),
      -- By numbers: comparing the keys of every pair took twice as long.
      numbered as materialized (select key, df, row_number() over (order by key collate "C")::int as place from counted),
      kept as materialized (select id, place from tagged join numbered using (key)),
      pairs as materialized (
        select one.place as place1, other.place as place2, count(*)::int as count
        from kept as one
        join kept as other on other.id = one.id and other.place > one.place
        group by 1, 2
        having count(*) >= ${min_count}
      ),
      most as materialized (
        select place1, place2, one.key as tag1, other.key as tag2, count, (select count(*)::int from pairs) as total,
               ${npmi(tx, { both: tx`count`, one: tx`one.df`, other: tx`other.df` })} as npmi
        from pairs
        join numbered as one on one.place = place1
        join numbered as other on other.place = place2
        order by count desc, npmi desc, place1, place2
        limit ${limit}
      )
      select tag1, tag2, count, npmi, total,
             (array_agg(one.id order by one.id desc))[1:${sample_size}::int] as example_memory_ids
      from most
      join kept as one on one.place = place1
      join kept as other on other.id = one.id and other.place = place2
      group by place1, place2, tag1, tag2, count, npmi, total
      order by count desc, npmi desc, place1, place2`;
    return { items: rows.map(({ total: _, ...pair }) => pair), total: rows[0]?.total ?? 0 };
  });
}

/** Tags that go with one, by their keys: those that belong to it most closely first. None where there is no such tag. */
export function relatedTags(
  caller: Caller,
  tag: string,
  { limit = LIMITS.related_tags[1], min_count = 1 }: Omit<PairOptions, "sample_size"> = {},
): Promise<RelatedTags> {
  return caller.read(async (tx) => {
    const rows = await tx<(RelatedTags["items"][number] & { total: number })[]>`
      with tagged as materialized (
        select id, key from ${activeTags(tx)} as tagged
      ),
      with_it as materialized (select id from tagged where key = ${tag}),
      counted as (
        select key, count(*) as df, count(with_it.id)::int as count from tagged left join with_it using (id) group by key
      ),
      own as materialized (select df from counted where key = ${tag})
      select key as tag, count, count(*) over ()::int as total,
             ${npmi(tx, { both: tx`count`, one: tx`(select df from own)`, other: tx`counted.df` })} as npmi
      from counted
      where key <> ${tag} and count >= ${min_count}
      order by npmi desc, count desc, key collate "C"
      limit ${limit}`;
    return { tag, items: rows.map(({ total: _, ...item }) => item), total: rows[0]?.total ?? 0 };
  });
}

/**
 * Normalised pointwise mutual information of two tags over the active memories: pmi / -ln p(a, b). 1 is never the one
 * without the other, 0 is chance. Tags that all memories have tell nothing of each other: 0.
 */
const npmi = (tx: Tx, { both, one, other }: Record<"both" | "one" | "other", Fragment>) => {
  const everything = tx`${activeCount(tx)}::float8`;
  return tx`
    round((case
      when ${both} = ${everything} then 0
      else ln(${both} * ${everything} / (${one}::float8 * ${other})) / -ln(${both} / ${everything})
    end)::numeric, 4)::float8`;
};
