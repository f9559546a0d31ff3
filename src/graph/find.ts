import type { Caller } from "../db.ts";
import { memoryCounts } from "../entities/counts.ts";
import { nameOf } from "../entities/names.ts";
import { preview } from "../memories/lean.ts";
import { findMemories as bestOf } from "../search/service.ts";
import { PREVIEW } from "./glimpse.ts";
import { type FoundEntities, type FoundMemories, LIMITS } from "./schema.ts";

interface Wanted {
  query: string;
  limit?: number | undefined;
}

/** Active memories that match, best first: what search finds, in brief. */
export async function findMemories(
  caller: Caller,
  { query, limit = LIMITS.search[1] }: Wanted,
): Promise<FoundMemories> {
  const { found, total } = await bestOf(caller, { query, limit });
  return {
    items: found.map(({ id, category, access_entity, content, created_at, score }) => ({
      id,
      category,
      access_entity,
      preview: preview(content, PREVIEW),
      created_at,
      score,
    })),
    total,
  };
}

/** Words of a query that are compared with names, beside the whole of it. */
const MAX_WORDS = 16;

/**
 * Entities that active memories mention, by their names in any spelling: 1 for the very name, then those that begin
 * with what is asked for, then those that have it within, then by single words of it; the shorter the name, the more.
 */
export function findEntities(caller: Caller, { query, limit = LIMITS.search[1] }: Wanted): Promise<FoundEntities> {
  const words = query.split(/\s+/).filter(Boolean).slice(0, MAX_WORDS);
  return caller.read(async (tx) => {
    const rows = await tx<(FoundEntities["items"][number] & { total: number })[]>`
      with asked as materialized (
        select key, max(share) as share
        from (
          select app.entity_key(${query}) as key, 1.0 as share
          union all
          select app.entity_key(word), 0.5 * char_length(word) / ${Math.max(1, query.length)}
          from unnest(${words}::text[]) as word
        ) as spelt
        where char_length(key) > 1
        group by key
      ),
      -- A name that was merged into another is found for that one.
      found as materialized (
        select coalesce(merged_into, entities.key) as key,
               max(share * case
                 when entities.key = asked.key then 1
                 when starts_with(entities.key, asked.key) then 0.5 + 0.5 * char_length(asked.key) / char_length(entities.key)
                 else 0.5 * char_length(asked.key) / char_length(entities.key)
               end) as score
        from brain.entities
        join asked on strpos(entities.key, asked.key) > 0
        group by 1
      ),
      mentioned as materialized (
        select key, score, memories as memory_count from found join (${memoryCounts(tx)}) as counted using (key)
      )
      select ${nameOf(tx, tx`mentioned.key`)} as name, memory_count, round(score, 4)::float8 as score,
             (select count(*)::int from mentioned) as total
      from mentioned
      order by mentioned.score desc, memory_count desc, mentioned.key collate "C"
      limit ${limit}`;
    return { items: rows.map(({ total: _, ...entity }) => entity), total: rows[0]?.total ?? 0 };
  });
}
