import type { Caller } from "../db.ts";
import type { Memory } from "../memories/schema.ts";
import { columns } from "../memories/service.ts";
import { lexicalHits } from "./lexical.ts";
import type { SearchAnswer, SearchRequest } from "./schema.ts";

/** Matches are counted up to here. */
const MAX_COUNT = 1000;

/** What the caller sees that matches, best first. Scores are in 0..1 and fall monotonically. */
export function searchMemories(
  caller: Caller,
  { query, limit = 10, filter = {} }: SearchRequest,
): Promise<SearchAnswer> {
  const started = performance.now();
  const only = {
    states: listed(filter.state) ?? ["active"],
    categories: listed(filter.category),
    access_entities: listed(filter.access_entity),
  };
  return caller.read(async (tx) => {
    // Hits come from a definer function that sees as the policies do; the rows are read again under the policies.
    const rows = await tx<(Memory & { score: number; total: number })[]>`
      with hits as materialized (${lexicalHits(tx, query, only, MAX_COUNT)})
      select ${columns(tx)}, score, (select count(*)::int from hits) as total
      from hits
      join brain.memories using (id)
      join brain.spaces on spaces.id = space_id
      order by score desc, memories.id desc
      limit ${limit}`;
    return {
      results: rows.map(({ total: _, ...memory }) => ({ ...memory, matched: ["lexical"] })),
      total_count: rows[0]?.total ?? 0,
      took_ms: Math.round((performance.now() - started) * 10) / 10,
      degraded: [],
    };
  });
}

const listed = <T>(value: T | T[] | undefined): T[] | null =>
  value === undefined ? null : Array.isArray(value) ? value : [value];
