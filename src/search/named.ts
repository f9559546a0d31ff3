import type { Tx } from "../db.ts";
import type { Term } from "./terms.ts";

const MAX_LABEL = 64;

/** Of a memory's first line, what a label could be in. */
const beginning = (tx: Tx) => tx`split_part(left(content, ${MAX_LABEL + 2}::int), E'\\n', 1)`;

/**
 * What a memory says at its beginning that it is of or about, `Caroline` of `Caroline: …`, `ADR 12` of `ADR 12: …`; null
 * where it does not. Said again rather than once in a subquery, which took ten times as long.
 */
export const labelOf = (tx: Tx) => tx`
  case when strpos(${beginning(tx)}, ': ') > 1 then left(${beginning(tx)}, strpos(${beginning(tx)}, ': ') - 1) end`;

/** Which of these labels are in words that are all in the query. The same one is on many memories, and is looked at once. */
export async function labelsNamed(
  tx: Tx,
  labels: Iterable<string | null | undefined>,
  terms: readonly Term[],
): Promise<Set<string>> {
  const different = [...new Set(labels)].filter((label) => typeof label === "string");
  if (different.length === 0) return new Set();
  const rows = await tx<{ label: string }[]>`
    select label
    from unnest(${different}::text[]) as label
    where length(to_tsvector('english', label)) > 0
      and tsvector_to_array(to_tsvector('english', label)) <@ ${terms.map(({ term }) => term)}::text[]`;
  return new Set(rows.map(({ label }) => label));
}
