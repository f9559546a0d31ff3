import pagerank from "graphology-metrics/centrality/pagerank";
import type { Caller } from "../db.ts";
import { coMentions, graphOf, namesOf } from "./comentions.ts";
import type { Centrality, PageRank } from "./schema.ts";

/** What is mentioned together with most: by shared memories summed, then by how many entities share them. */
export function entityCentrality(
  caller: Caller,
  { limit = 20 }: { limit?: number | undefined } = {},
): Promise<Centrality> {
  return caller.read(async (tx) => {
    const { entities, pairs, is_cut } = await coMentions(tx);
    const ties = entities.map(({ key, memories }) => ({
      key,
      memory_count: memories,
      connections: 0,
      mention_count: 0,
    }));
    for (const [a, b, memories] of pairs)
      for (const tie of [ties[a], ties[b]])
        if (tie) {
          tie.connections++;
          tie.mention_count += memories;
        }
    // The sort is stable: of equal ones the most mentioned stays first.
    const central = ties
      .sort((a, b) => b.mention_count - a.mention_count || b.connections - a.connections)
      .slice(0, limit);
    const names = await namesOf(
      tx,
      central.map(({ key }) => key),
    );
    return {
      items: central.map(({ key, ...tie }) => ({ name: names.get(key) ?? key, ...tie })),
      total: ties.length,
      is_cut,
    };
  });
}

/** Enough for every graph: the error falls to 0.85 of what it was with each. */
const ITERATIONS = { alpha: 0.85, maxIterations: 100, tolerance: 1e-6 };

/** PageRank over the entities that are mentioned together, weighted by how many memories do; the scores sum to 1. */
export function entityPageRank(caller: Caller, { limit = 50 }: { limit?: number | undefined } = {}): Promise<PageRank> {
  return caller.read(async (tx) => {
    const read = await coMentions(tx);
    // Of an empty graph it cannot make its index (graphology-metrics 2.4.2).
    const scores =
      read.entities.length === 0 ? {} : pagerank(graphOf(read), { ...ITERATIONS, getEdgeWeight: "weight" });
    const ranked = read.entities
      .map(({ key, memories }) => ({ key, score: scores[key] ?? 0, memory_count: memories }))
      .sort((a, b) => b.score - a.score)
      .slice(0, limit);
    const names = await namesOf(
      tx,
      ranked.map(({ key }) => key),
    );
    return {
      items: ranked.map(({ key, ...rest }) => ({ name: names.get(key) ?? key, ...rest })),
      total: read.entities.length,
      is_cut: read.is_cut,
    };
  });
}
