import type { Caller, Tx } from "../db.ts";
import { codeOf, cosine } from "../embeddings/codes.ts";
import { EmbedderError } from "../embeddings/provider.ts";
import type { Filter } from "../memories/filter.ts";
import { fitting } from "./lexical.ts";
import type { ParsedQuery } from "./query.ts";
import { ofSpaces } from "./terms.ts";

/** How long a search waits for its query's vector before it answers without. */
const PATIENCE_MS = 3000;
/** Whose signs are nearest: so many are compared exactly. Recall against exact search is in docs/benchmarks.md. */
export const NEAREST = 500;

/** So many more are looked at first; all of them only where filters leave too few. */
const SPARE = 200;

/** A query as a vector of the space in use. */
export interface Meaning {
  embedding_space: number;
  vector: Float32Array;
}

/** The embedding space in use in the caller's org, where it has one. */
export const spaceOf = (caller: Caller) =>
  caller.read(async (tx) => {
    const [active] = await tx<{ id: number; model: string; dimensions: number }[]>`
      select id, model, dimensions from brain.embedding_spaces where state = 'active'`;
    return active;
  });

/**
 * The query's vector in the space in use; null where there is none to be had: no provider, no space yet, or a provider
 * that is away, slow, or answers with other dimensions. It is asked outside any transaction.
 */
export async function meaningOf(caller: Caller, query: string): Promise<Meaning | null> {
  const { embedder } = caller;
  if (!embedder) return null;
  const space = await spaceOf(caller);
  if (!space) return null;
  try {
    const [vector] = await embedder.embed(space.model, [query], PATIENCE_MS);
    return vector?.length === space.dimensions ? { embedding_space: space.id, vector } : null;
  } catch (error) {
    if (error instanceof EmbedderError) return null;
    throw error;
  }
}

/** The memories whose meaning is nearest, by their cosine, best first. The codes of all the caller sees are compared. */
export async function semanticHits(
  tx: Tx,
  { embedding_space, vector }: Meaning,
  { phrases, excluded }: ParsedQuery,
  filter: Filter,
  space_ids: readonly number[] | null,
): Promise<{ id: string; cosine: number }[]> {
  for (const among of [NEAREST + SPARE, null]) {
    const rows = await tx<{ id: string; vector: Uint8Array; looked_at: number }[]>`
      with near as materialized (
        -- The query's code as a scalar: cast once, not for each row.
        select space_id, memory_id, bit_count(code # (select ${codeOf(vector)}::text::varbit)) as distance
        from brain.memory_embeddings
        where embedding_space = ${embedding_space} and ${ofSpaces(tx, space_ids)}
        order by distance, memory_id limit ${among}
      )
      select memory_id as id, vector, (select count(*)::int from near) as looked_at
      from near
      cross join lateral (
        select vector from brain.memory_embeddings as kept
        where kept.space_id = near.space_id and kept.embedding_space = ${embedding_space}
          and kept.memory_id = near.memory_id
        limit 1
      ) as vectors
      cross join lateral (
        select state from brain.memories
        where memories.id = near.memory_id and ${fitting(tx, filter, phrases, excluded)} limit 1
      ) as fits
      order by distance, memory_id
      limit ${NEAREST}`;
    if (rows.length < NEAREST && among !== null && (rows[0]?.looked_at ?? among) >= among) continue;
    return rows
      .map((row) => ({ id: row.id, cosine: cosine(vector, row.vector) }))
      .sort((one, other) => other.cosine - one.cosine);
  }
  return [];
}
