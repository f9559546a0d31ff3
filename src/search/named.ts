import type { Tx } from "../db.ts";
import type { Term } from "./terms.ts";

/**
 * Which of these memories say at their beginning whose or what they are, `Caroline: …` or `ADR 12: …`, in words that are
 * all in the query.
 */
export async function labelledBy(tx: Tx, ids: readonly string[], terms: readonly Term[]): Promise<Set<string>> {
  const rows = await tx<{ id: string }[]>`
    select id
    from (
      select id, substring(content from '^([^:\n]{1,64}):\\s') as label
      from brain.memories
      where id = any (${ids as string[]}::uuid[])
    ) as labels
    where label is not null
      and tsvector_to_array(to_tsvector('english', label)) <@ ${terms.map(({ term }) => term)}::text[]
      and length(to_tsvector('english', label)) > 0`;
  return new Set(rows.map(({ id }) => id));
}
