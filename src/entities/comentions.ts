import { UndirectedGraph } from "graphology";
import type { Caller, Tx } from "../db.ts";
import { memoryCounts } from "./counts.ts";
import { nameOf } from "./names.ts";

/** Entities and pairs a graph may have in the process; beyond, the least mentioned are left out and the answer says so. */
export const MAX_ENTITIES = 5000;
export const MAX_PAIRS = 30_000;
/** Memories it is made of, the newest first, and pairs counted in them: some 200 ms of the process. */
const MAX_MEMORIES = 50_000;
const MAX_COUNTED = 1_000_000;

/** Which entities active memories mention together, of all the caller sees. */
export interface CoMentions {
  /** The most mentioned first. */
  readonly entities: readonly { readonly key: string; readonly memories: number }[];
  /** Two places in `entities`, the first the lower one, and how many memories mention both; the strongest first. */
  readonly pairs: readonly (readonly [a: number, b: number, memories: number])[];
  /** Whether entities, memories or pairs were left out. */
  readonly is_cut: boolean;
}

/** The graph of entities that are mentioned together: a node's key is the entity's, an edge's weight counts memories. */
export type CoMentionGraph = UndirectedGraph<{ memories: number }, { weight: number }>;

/**
 * Which entities are mentioned together, by at least `min_count` memories. Two statements whatever there is. The pairs
 * are counted here, when the transaction is over: PostgreSQL took three times as long to join the mentions with
 * themselves and sort what came of it.
 */
export async function coMentions(
  caller: Caller,
  { max_entities = MAX_ENTITIES, max_pairs = MAX_PAIRS, min_count = 1 } = {},
): Promise<CoMentions> {
  const { entities, mentioned } = await caller.read((tx) => mentionsIn(tx, max_entities + 1));
  const kept = entities.slice(0, max_entities);
  const { counts, is_whole } = countPairs(mentioned, kept);
  const { pairs, count } = strongest(counts, kept.length, max_pairs, min_count);
  return { entities: kept, pairs, is_cut: entities.length > max_entities || !is_whole || count > max_pairs };
}

/** The most mentioned entities, and what each memory with several mentions, the newest first, by keys. */
async function mentionsIn(tx: Tx, max_entities: number) {
  const entities = await tx<{ key: string; memories: number }[]>`
    select key, memories from (${memoryCounts(tx)}) as counted
    order by memories desc, key collate "C"
    limit ${max_entities}`;
  const [row] = await tx<{ mentioned: string[][] }[]>`
    with merged as materialized (
      select space_id, key, merged_into from brain.entities where merged_into is not null
    ),
    -- By itself, or the order that is wanted would be that of an index which has the whole org's mentions.
    told as materialized (
      select space_id, memory_id, key from brain.memory_entities where is_active
    ),
    together as (
      select array_agg(coalesce(merged_into, key)) as keys
      from told
      left join merged using (space_id, key)
      group by memory_id
      having count(*) > 1
      order by memory_id desc
      limit ${MAX_MEMORIES + 1}
    )
    select coalesce(json_agg(keys), '[]') as mentioned from together`;
  return { entities, mentioned: row?.mentioned ?? [] };
}

/** How many memories have each pair of entities, a pair as one number: `a * entities.length + b`, a before b. */
function countPairs(memories: readonly (readonly string[])[], entities: readonly { key: string }[]) {
  const place_of = new Map(entities.map(({ key }, place) => [key, place]));
  const counts = new Map<number, number>();
  let counted = 0;
  for (const keys of memories.slice(0, MAX_MEMORIES)) {
    const places = placesOf(keys, place_of);
    counted += (places.length * (places.length - 1)) / 2;
    if (counted > MAX_COUNTED) break;
    for (let one = 0; one < places.length; one++)
      for (let other = one + 1; other < places.length; other++) {
        const pair = (places[one] ?? 0) * entities.length + (places[other] ?? 0);
        counts.set(pair, (counts.get(pair) ?? 0) + 1);
      }
  }
  return { counts, is_whole: memories.length <= MAX_MEMORIES && counted <= MAX_COUNTED };
}

/** Each place once, in their order: a memory may name one entity in two spellings. */
function placesOf(keys: readonly string[], place_of: ReadonlyMap<string, number>): number[] {
  const places: number[] = [];
  for (const key of keys) {
    const place = place_of.get(key);
    if (place !== undefined && !places.includes(place)) places.push(place);
  }
  return places.sort((a, b) => a - b);
}

/** The strongest pairs, and how many are strong enough. */
function strongest(counts: ReadonlyMap<number, number>, size: number, most: number, min_count: number) {
  // Sorted as numbers, the highest count first and then by the pair: three times as fast as by a comparison of ours.
  const span = size * size;
  const strong = [...counts].filter(([, count]) => count >= min_count);
  const ordered = Float64Array.from(strong, ([pair, count]) => (MAX_COUNTED - count) * span + pair).sort();
  const pairs = Array.from(ordered.subarray(0, most), (coded): [number, number, number] => {
    const pair = coded % span;
    return [Math.floor(pair / size), pair % size, MAX_COUNTED - Math.floor(coded / span)];
  });
  return { pairs, count: strong.length };
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
