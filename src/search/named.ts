import type { Tx } from "../db.ts";
import type { Term } from "./terms.ts";

const MAX_LABEL = 64;

/**
 * Which of these memories say at their beginning whose or what they are, `Caroline: …` or `ADR 12: …`, in words that are
 * all in the query.
 */
export async function labelledBy(tx: Tx, ids: readonly string[], terms: readonly Term[]): Promise<Set<string>> {
  const rows = await tx<{ id: string }[]>`
    select id
    from (
      select id, case when strpos(beginning, ': ') > 1 then left(beginning, strpos(beginning, ': ') - 1) end as label
      from brain.memories
      cross join lateral left(split_part(content, E'\\n', 1), ${MAX_LABEL + 2}::int) as beginning
      where id = any (${ids as string[]}::uuid[])
    ) as labels
    where length(to_tsvector('english', label)) > 0
      and tsvector_to_array(to_tsvector('english', label)) <@ ${terms.map(({ term }) => term)}::text[]`;
  return new Set(rows.map(({ id }) => id));
}
