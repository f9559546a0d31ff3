import { UndirectedGraph } from "graphology";
import type { Tx } from "../db.ts";
import { nameOf } from "./names.ts";

/** Entities and pairs a graph may have in the process; beyond, the least mentioned are left out and the answer says so. */
export const MAX_ENTITIES = 5000;
export const MAX_PAIRS = 50_000;

/** Which entities active memories mention together, of all the caller sees. */
export interface CoMentions {
  /** The most mentioned first. */
  readonly entities: readonly { readonly key: string; readonly memories: number }[];
  /** Two places in `entities` and how many memories mention both, the strongest first. */
  readonly pairs: readonly (readonly [a: number, b: number, memories: number])[];
  /** Whether entities or pairs were left out. */
  readonly is_cut: boolean;
}

/** The graph of entities that are mentioned together: a node's key is the entity's, an edge's weight counts memories. */
export type CoMentionGraph = UndirectedGraph<{ memories: number }, { weight: number }>;

/**
 * Reads which entities are mentioned together by at least `min_count` memories. Two statements whatever there is;
 * 10,000 memories with 55,000 mentions take about 150 ms.
 */
export async function coMentions(
  tx: Tx,
  { max_entities = MAX_ENTITIES, max_pairs = MAX_PAIRS, min_count = 1 } = {},
): Promise<CoMentions> {
  const entities = await tx<{ key: string; memories: number }[]>`
    select key, count(distinct memory_id)::int as memories
    from brain.mentions
    where is_active
    group by key
    order by memories desc, key collate "C"
    limit ${max_entities + 1}`;
  const kept = entities.slice(0, max_entities);
  const [{ pairs } = { pairs: [] }] = await tx<{ pairs: [number, number, number][] }[]>`
    with kept as materialized (
      select key, place::int - 1 as place from unnest(${kept.map(({ key }) => key)}::text[]) with ordinality as kept (key, place)
    ),
    mentioned as materialized (
      select distinct memory_id, place from brain.mentions join kept using (key) where is_active
    )
    select coalesce(json_agg(json_build_array(a, b, memories)), '[]') as pairs
    from (
      select one.place as a, other.place as b, count(*) as memories
      from mentioned as one
      join mentioned as other on other.memory_id = one.memory_id and other.place > one.place
      group by 1, 2
      having count(*) >= ${min_count}
      order by memories desc, a, b
      limit ${max_pairs + 1}
    ) as strongest`;
  return {
    entities: kept,
    pairs: pairs.slice(0, max_pairs),
    is_cut: entities.length > max_entities || pairs.length > max_pairs,
  };
}

/** What was read as a graph. Entities that are mentioned alone are nodes too. */
export function graphOf({ entities, pairs }: CoMentions): CoMentionGraph {
  const graph: CoMentionGraph = new UndirectedGraph({ multi: false });
  for (const { key, memories } of entities) graph.addNode(key, { memories });
  for (const [a, b, weight] of pairs) {
    const [one, other] = [entities[a], entities[b]];
    if (one && other) graph.addUndirectedEdge(one.key, other.key, { weight });
  }
  return graph;
}

/** The names of entities, by their keys. */
export async function namesOf(tx: Tx, keys: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const rows = await tx<{ key: string; name: string }[]>`
    select key, ${nameOf(tx, tx`wanted.key`)} as name from unnest(${keys as string[]}::text[]) as wanted (key)`;
  return new Map(rows.map(({ key, name }) => [key, name]));
}
