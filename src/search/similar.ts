import type { Tx } from "../db.ts";
import { preview } from "../memories/lean.ts";
import { ofSpaces } from "./terms.ts";

/** An older decision that a new one may replace. */
export interface Similar {
  id: string;
  /** The share of the new one's terms, by their weight, that it has too: 0 to 1. */
  score: number;
  preview: string;
}

const MOST = 3;
/** Below, two decisions are about different things. */
const CLOSE = 0.5;
const PREVIEW = 160;
/** The terms that tell most are enough to find what is alike; and only so many of those that have them are compared. */
const MOST_TERMS = 24;
const MOST_HAVING = 200;

/** The active decisions of a memory's space that say much of what it says, the likest first; not the memory itself. */
export async function similarDecisions(
  tx: Tx,
  { id, content, access_entity }: { id: string; content: string; access_entity: string },
): Promise<Similar[]> {
  const spaces = await tx<{ id: number }[]>`select id from brain.spaces where access_entity = ${access_entity}`;
  const here = ofSpaces(
    tx,
    spaces.map((space) => space.id),
  );
  const rows = await tx<{ id: string; score: number; content: string }[]>`
    with terms as (
      select term, n, ln(1 + (greatest(size - n, 0) + 0.5) / (n + 0.5)) as weight
      from app.words_in(${content}) as said
      cross join lateral unnest(said.words) as term
      cross join (select coalesce(sum(memories), 0)::int as size from brain.space_sizes where ${here}) as sizes
      cross join lateral (
        select count(*)::int as n
        from (select from brain.memory_terms as other
              where other.term = term.term and ${here} limit ${MOST_HAVING + 1}::int) as counted
      ) as counts
    ),
    weighed as materialized (
      select term, n, weight / sum(weight) over () as weight
      from (select * from terms order by weight desc, term limit ${MOST_TERMS}) as telling
    ),
    shared as materialized (
      select memory_id, sum(weight) as score
      from weighed
      cross join lateral (
        select memory_id from brain.memory_terms as other where other.term = weighed.term and ${here} offset 0
      ) as other
      where n <= ${MOST_HAVING}
      group by memory_id
    )
    select memories.id, score::float8, content
    from (select * from shared where score >= ${CLOSE} order by score desc, memory_id desc) as near
    cross join lateral (
      select id, content from brain.memories
      where memories.id = memory_id and ${here} and category = 'decision' and state = 'active' and id <> ${id} limit 1
    ) as memories
    limit ${MOST}`;
  return rows.map((row) => ({
    id: row.id,
    score: Number(row.score.toFixed(6)),
    preview: preview(row.content, PREVIEW),
  }));
}
