import type { Caller, Tx } from "../db.ts";
import { milliseconds } from "../log.ts";
import { columns } from "../memories/columns.ts";
import { type Filter, filterOf, matching, within } from "../memories/filter.ts";
import type { Memory } from "../memories/schema.ts";
import { lexicalHits } from "./lexical.ts";
import type { SearchAnswer, SearchRequest } from "./schema.ts";

/** Matches of a search are counted up to here. */
const MAX_COUNT = 1000;

/** What the caller sees that matches, best first. Scores are in 0..1 and fall monotonically. Throws INVALID_INPUT. */
export async function searchMemories(
  caller: Caller,
  { query, limit = 10, filter = {} }: SearchRequest,
): Promise<SearchAnswer> {
  const started = performance.now();
  const wanted = filterOf(filter);
  const answer = await caller.read(async (tx) => {
    const { found, total } = await findIn(tx, query, wanted, { offset: 0, limit, count_to: MAX_COUNT });
    return {
      results: found.map((memory) => ({ ...memory, matched: ["lexical"] })),
      total_count: total,
      took_ms: milliseconds(started),
      degraded: [],
    };
  });
  caller.recalled("search", answer.results);
  return answer;
}

export type Found = Memory & { score: number };

/** A stretch of what matches, and how many match in all, counted to `count_to`. Lists with a search_query use it too. */
export async function findIn(
  tx: Tx,
  query: string,
  filter: Filter,
  { offset, limit, count_to }: { offset: number; limit: number; count_to: number },
): Promise<{ found: Found[]; total: number }> {
  // Hits come from a definer function that sees as the policies do; the rows are read again under the policies.
  // The function knows the state, the category, the space and what is replaced. What else is asked is asked of every hit, before the cut.
  const {
    states: _states,
    categories: _categories,
    access_entities: _spaces,
    include_superseded: _,
    tags,
    ...others
  } = filter;
  const is_known_there = tags.length === 0 && Object.values(others).every((value) => value === null);
  const hits = tx`
    select memories.id, score
    from (${lexicalHits(tx, query, filter, is_known_there ? count_to : null)}) as hits
    join brain.memories using (id)
    join brain.spaces on spaces.id = space_id
    where ${matching(tx, filter)} and ${within(tx, filter)}
    order by score desc, memories.id desc
    limit ${count_to}`;
  const rows = await tx<(Found & { total: number })[]>`
    with hits as materialized (${hits})
    select ${columns(tx)}, score, (select count(*)::int from hits) as total
    from hits
    join brain.memories using (id)
    join brain.spaces on spaces.id = space_id
    order by score desc, memories.id desc
    offset ${offset}
    limit ${limit}`;
  // A page beyond the last has no row to tell the total.
  const [counted] =
    rows.length > 0 || offset === 0
      ? rows
      : await tx<{ total: number }[]>`select count(*)::int as total from (${hits}) as hits`;
  return { found: rows.map(({ total: _, ...memory }) => memory), total: counted?.total ?? 0 };
}
