import type { Tx } from "../db.ts";
import type { Term } from "./terms.ts";

/**
 * Which of these memories say at their beginning whose or what they are, `Caroline: …` or `ADR 12: …`, in words that are
 * all in the query.
 */
export async function labelledBy(tx: Tx, ids: readonly string[], terms: readonly Term[]): Promise<Set<string>> {
  const rows = await tx<{ id: string }[]>`
    select id
    from brain.memories
    cross join lateral app.words_in(substring(content from '^([^:\n]{1,64}):\s')) as label
    where id = any (${ids as string[]}::uuid[]) and label.words <@ ${terms.map(({ term }) => term)}::text[]`;
  return new Set(rows.map(({ id }) => id));
}
