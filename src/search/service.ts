import type { Caller, Tx } from "../db.ts";
import { milliseconds } from "../log.ts";
import { columns } from "../memories/columns.ts";
import { ANY, type Filter, filterOf } from "../memories/filter.ts";
import { preview } from "../memories/lean.ts";
import type { Memory } from "../memories/schema.ts";
import { cursorAt, fittingInto, placeOf } from "./page.ts";
import { type Ranked, rank } from "./rank.ts";
import type { Result, SearchAnswer, SearchRequest } from "./schema.ts";
import { meaningOf } from "./semantic.ts";

/** Matches of a search are counted up to here: each is looked at, and that takes its time. */
const MAX_COUNT = 100;
/** Pages reach up to here. */
const REACH = 1000;
/** Characters of a preview. */
const PREVIEW = 160;

/**
 * What the caller sees that matches, best first. Scores are in 0..1 and fall monotonically. `sizeOf` says how many
 * characters a result takes where it goes, for max_tokens. Throws INVALID_INPUT.
 */
export async function searchMemories(
  caller: Caller,
  request: SearchRequest,
  sizeOf = (result: Result) => JSON.stringify(result).length,
): Promise<SearchAnswer> {
  const started = performance.now();
  const {
    query,
    limit = 10,
    filter = {},
    context,
    detail = "full",
    explain = false,
    max_tokens,
    mode = "auto",
  } = request;
  const wanted = filterOf(filter);
  const place = placeOf(request);
  const meaning = mode === "lexical" ? null : await meaningOf(caller, query);
  const is_degraded =
    meaning === null && (caller.embedder ? mode !== "lexical" : mode === "semantic" || mode === "hybrid");
  const answer = await caller.read(
    async (tx) => {
      const { ranking, total } = await rank(tx, {
        query,
        filter: wanted,
        context,
        meaning,
        by_meaning_only: mode === "semantic",
        keep: Math.min(place + limit + 1, REACH),
        count_to: MAX_COUNT,
      });
      const page = ranking.slice(place, Math.min(place + limit, REACH));
      const memories = await memoriesOf(tx, detail === "ids" ? [] : page);
      const results = page.flatMap((ranked): Result[] => {
        const memory = memories.get(ranked.id);
        return detail === "ids" || memory ? [resultFrom(ranked, memory, detail, explain)] : [];
      });
      const shown = fittingInto(
        max_tokens,
        results.map((result) => ({ characters: sizeOf(result) })),
      );
      const next = place + shown;
      return {
        results: results.slice(0, shown),
        total_count: total,
        ...(max_tokens !== undefined && { left_out: results.length - shown }),
        took_ms: milliseconds(started),
        degraded: is_degraded ? ["semantic"] : [],
        next_cursor: shown > 0 && next < Math.min(ranking.length, REACH) ? cursorAt(next, request) : null,
      };
    },
    { plans: "once" },
  );
  caller.recalled("search", answer.results);
  return answer;
}

function resultFrom(
  { id, score, matched, why }: Ranked,
  memory: Memory | undefined,
  detail: NonNullable<SearchRequest["detail"]>,
  explain: boolean,
): Result {
  const found = { score, matched, ...(explain && { why }) };
  if (detail === "ids" || !memory) return { id, ...found };
  if (detail === "full") return { ...memory, ...found };
  const { category, access_entity, superseded_by, created_at, content } = memory;
  return { id, category, access_entity, superseded_by, created_at, preview: preview(content, PREVIEW), ...found };
}

/** A stretch of what matches, and how many match in all, counted to `count_to`: for lists with a search_query. */
export async function findIn(
  tx: Tx,
  query: string,
  filter: Filter,
  { offset, limit, count_to }: { offset: number; limit: number; count_to: number },
): Promise<{ found: Memory[]; total: number }> {
  const { ranking, total } = await rank(tx, { query, filter, keep: offset + limit, count_to });
  const page = ranking.slice(offset, offset + limit);
  const memories = await memoriesOf(tx, page);
  return { found: page.flatMap(({ id }) => memories.get(id) ?? []), total };
}

/** The best few memories that match, whole, with their scores; and how many match, counted to 100. */
export async function findMemories(
  caller: Caller,
  { query, filter = ANY, limit }: { query: string; filter?: Filter; limit: number },
): Promise<{ found: (Memory & { score: number })[]; total: number }> {
  const answer = await caller.read(async (tx) => {
    const { ranking, total } = await rank(tx, { query, filter, keep: limit, count_to: MAX_COUNT });
    const page = ranking.slice(0, limit);
    const memories = await memoriesOf(tx, page);
    const found = page.flatMap(({ id, score }) => {
      const memory = memories.get(id);
      return memory ? [{ ...memory, score }] : [];
    });
    return { found, total };
  });
  caller.recalled("search", answer.found);
  return answer;
}

async function memoriesOf(tx: Tx, page: readonly Ranked[]): Promise<Map<string, Memory>> {
  if (page.length === 0) return new Map();
  const memories = await tx<Memory[]>`
    select ${columns(tx)}
    from brain.memories
    join brain.spaces on spaces.id = space_id
    where memories.id = any (${page.map(({ id }) => id)}::uuid[])`;
  return new Map(memories.map((memory) => [memory.id, memory]));
}
