import type { Caller, Tx } from "../db.ts";
import { milliseconds } from "../log.ts";
import { columns } from "../memories/columns.ts";
import { type Filter, filterOf, within } from "../memories/filter.ts";
import type { Memory } from "../memories/schema.ts";
import { fitting, lexicalHits } from "./lexical.ts";
import { labelledBy } from "./named.ts";
import { parseQuery } from "./query.ts";
import type { SearchAnswer, SearchRequest } from "./schema.ts";
import { termsOf } from "./terms.ts";
import { scoresInThreads } from "./threads.ts";

/** Matches of a search are counted up to here. */
const MAX_COUNT = 1000;
/** So many of the best are ranked by more than their own words. */
const RANKED = 200;
/** What being named by the query adds to what a memory earns by its words. */
const NAMED = 0.5;

/** What the caller sees that matches, best first. Scores are in 0..1 and fall monotonically. Throws INVALID_INPUT. */
export async function searchMemories(
  caller: Caller,
  { query, limit = 10, filter = {} }: SearchRequest,
): Promise<SearchAnswer> {
  const started = performance.now();
  const wanted = filterOf(filter);
  return caller.read(async (tx) => {
    const { found, total } = await findIn(tx, query, wanted, { offset: 0, limit, count_to: MAX_COUNT });
    return {
      results: found.map((memory) => ({ ...memory, matched: ["lexical"] })),
      total_count: total,
      took_ms: milliseconds(started),
      degraded: [],
    };
  });
}

export type Found = Memory & { score: number };

/** A stretch of what matches, and how many match in all, counted to `count_to`. Lists with a search_query use it too. */
export async function findIn(
  tx: Tx,
  query: string,
  filter: Filter,
  { offset, limit, count_to }: { offset: number; limit: number; count_to: number },
): Promise<{ found: Found[]; total: number }> {
  const { ranking, total } = await rank(tx, query, filter, Math.max(RANKED, offset + limit), count_to);
  const page = ranking.slice(offset, offset + limit);
  const memories = new Map(
    (
      await tx<Memory[]>`
        select ${columns(tx)}
        from brain.memories
        join brain.spaces on spaces.id = space_id
        where memories.id = any (${page.map(({ id }) => id)}::uuid[])`
    ).map((memory) => [memory.id, memory]),
  );
  const found = page.flatMap(({ id, score }) => {
    const memory = memories.get(id);
    return memory ? [{ ...memory, score }] : [];
  });
  return { found, total };
}

interface Ranked {
  id: string;
  score: number;
}

/** The best `keep` memories in their order, and how many match, counted to `count_to`. */
async function rank(tx: Tx, query: string, filter: Filter, keep: number, count_to: number) {
  const parsed = parseQuery(query);
  const space_ids = await spacesFor(tx, filter);
  const terms = await termsOf(tx, parsed.words, space_ids);
  const { hits, total } = await lexicalHits(tx, parsed, terms, { filter, space_ids, keep, count_to });
  const in_threads = await scoresInThreads(tx, terms, hits, filter.states, space_ids);
  const scores = new Map<string, number>(hits.map(({ id, score }) => [id, score]));
  const added = [...in_threads.keys()].filter((id) => !scores.has(id));
  const fits = await fittingOf(tx, added, filter, parsed);
  for (const [id, score] of in_threads) if (scores.has(id) || fits.has(id)) scores.set(id, score);

  const labelled = await labelledBy(tx, [...scores.keys()], terms);
  const ranking = [...scores].map(
    ([id, score]): Ranked => ({
      id,
      score: (score * (1 + (labelled.has(id) ? NAMED : 0))) / (1 + NAMED),
    }),
  );
  ranking.sort((one, other) => other.score - one.score || (one.id < other.id ? 1 : -1));
  return { ranking: ranking.slice(0, keep), total: Math.max(total, Math.min(ranking.length, count_to)) };
}

/** The spaces a filter names, those the caller sees; null where it names none. */
async function spacesFor(tx: Tx, filter: Filter): Promise<number[] | null> {
  if (filter.access_entities === null && filter.scopes === null) return null;
  const rows = await tx<{ id: number }[]>`select id from brain.spaces where ${within(tx, filter)}`;
  return rows.map(({ id }) => id);
}

/** Which of these memories a search may find. */
async function fittingOf(
  tx: Tx,
  ids: readonly string[],
  filter: Filter,
  { phrases, excluded }: ReturnType<typeof parseQuery>,
) {
  if (ids.length === 0) return new Set<string>();
  const rows = await tx<{ id: string }[]>`
    select id from brain.memories
    where id = any (${ids as string[]}::uuid[]) and ${fitting(tx, filter, phrases, excluded)}`;
  return new Set(rows.map(({ id }) => id));
}
