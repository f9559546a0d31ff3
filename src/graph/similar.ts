import type { Caller, Tx } from "../db.ts";
import { expectInGraph, glimpses, shown } from "./glimpse.ts";
import { LIMITS, type SimilarMemories } from "./schema.ts";
import { activeCount, activeMemories } from "./visible.ts";

/** Words of a memory that others are compared by: those it says most often, then the longest. */
const MAX_WORDS = 64;

/** What says nearly the same as a memory, the nearest first. Throws NOT_FOUND. */
export async function similarMemories(
  caller: Caller,
  memory_id: string,
  { min_score = 0.1, limit = LIMITS.similar[1] }: { min_score?: number | undefined; limit?: number | undefined } = {},
): Promise<SimilarMemories> {
  const answer = await caller.read(async (tx) => {
    await expectInGraph(tx, memory_id);
    const rows = await tx<(SimilarMemories["items"][number] & { total: number })[]>`
      with near as materialized (
        select id, score from (${likeByTerms(tx, memory_id)}) as compared where score >= ${min_score}
      )
      select ${glimpses(tx)}, score, (select count(*)::int from near) as total
      from near
      join brain.memories using (id)
      join brain.spaces on spaces.id = space_id
      order by score desc, memories.id desc
      limit ${limit}`;
    const items = rows.map(({ total: _, ...row }) => shown(row));
    return { memory_id: memory_id.toLowerCase(), method: "terms" as const, items, total: rows[0]?.total ?? 0 };
  });
  caller.recalled("related", answer.items);
  return answer;
}

/**
 * Ids of other active memories and how much of the seed's words they share, by weight: ln(1 + N/df) a word, over what
 * the caller sees; divided by what the seed's words weigh and by the root of how much longer the other is. The same
 * text makes 1, and a long one is not like everything.
 */
const likeByTerms = (tx: Tx, memory_id: string) => tx`
  with seed as materialized (select id, terms from brain.memories where id = ${memory_id}),
  words as materialized (
    select lexeme,
           -- Quoted by hand: a stem may hold what a query reads as an operator.
           ('''' || replace(replace(lexeme, '\\', '\\\\'), '''', '''''') || '''')::tsquery as query
    from seed
    cross join unnest(terms) as word (lexeme, positions, weights)
    order by cardinality(positions) desc, char_length(lexeme) desc, lexeme
    limit ${MAX_WORDS}
  ),
  -- Each memory is asked for each word: to take all its words apart took ten times as long. Lateral, or the planner may
  -- turn it round and read every memory for each word.
  found as materialized (
    select memories.id, said.lexeme, length(terms) as size
    from ${activeMemories(tx)} as memories
    cross join lateral (select lexeme from words where terms @@ query offset 0) as said
  ),
  weights as materialized (
    select lexeme, ln(1 + ${activeCount(tx)}::float8 / count(*)) as weight
    from found
    group by lexeme
  )
  select found.id,
         round(least(1, sum(weight) / (select sum(weight) from weights)
                        / sqrt(greatest(1, size::float8 / (select length(terms) from seed))))::numeric, 4)::float8 as score
  from found
  join weights using (lexeme)
  where found.id <> ${memory_id}
  group by found.id, size`;
