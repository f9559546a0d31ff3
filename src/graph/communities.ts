import louvain from "graphology-communities-louvain";
import type { Caller } from "../db.ts";
import { coMentions, graphOf, namesOf } from "../entities/comentions.ts";
import type { EntityCommunities, MemoryCommunities } from "./analytics_schema.ts";
import { holdersIn } from "./holders.ts";
import { glimpsesOf } from "./related.ts";
import { KINDS, LIMITS } from "./schema.ts";
import { wordsFrom } from "./words.ts";

interface Shown {
  limit?: number | undefined;
  /** Members shown of each. */
  member_limit?: number | undefined;
}

/**
 * Entities that are mentioned together more than with others (Louvain), the largest community first and in it what is
 * mentioned most. The same graph gives the same answer. What is mentioned with nothing else is in none.
 */
export async function entityCommunities(
  caller: Caller,
  { limit = LIMITS.communities[1], member_limit = LIMITS.members[1] }: Shown = {},
): Promise<EntityCommunities> {
  // Worked out between two transactions: one that waits for it would hold its connection.
  const read = await coMentions(caller);
  const graph = graphOf(read);
  if (graph.size === 0) return { items: [], total: 0, modularity: 0, is_cut: read.is_cut };
  // The walk in a fixed order: at random, each call would part them otherwise.
  const { communities, modularity } = louvain.detailed(graph, { getEdgeWeight: "weight", randomWalk: false });
  const members = Map.groupBy(read.entities, ({ key }) => communities[key]);
  // The most mentioned come first among the entities, and so in each community; equal sizes keep that order too.
  const found = [...members.values()].filter(({ length }) => length > 1).sort((a, b) => b.length - a.length);
  const told = found.slice(0, limit).map((all) => ({ size: all.length, shown: all.slice(0, member_limit) }));
  const keys = told.flatMap(({ shown }) => shown.map(({ key }) => key));
  const names = await caller.read((tx) => namesOf(tx, keys));
  return {
    items: told.map(({ size, shown }) => ({
      size,
      members: shown.map(({ key, memories }) => ({ name: names.get(key) ?? key, memory_count: memories })),
    })),
    total: found.length,
    modularity: Math.round(modularity * 10_000) / 10_000,
    is_cut: read.is_cut,
  };
}

/**
 * Memories that hang together: those that share a thing, and whatever shares one with those (connected components). The
 * largest community first and in it the newest memory. What all memories have connects nothing, unless there are but
 * two. Throws INVALID_INPUT.
 */
export async function memoryCommunities(
  caller: Caller,
  { via, limit = LIMITS.communities[1], member_limit = LIMITS.members[1] }: Shown & { via?: string | undefined } = {},
): Promise<MemoryCommunities> {
  const kinds = wordsFrom(via, KINDS, "via") ?? KINDS;
  const { ids, places, is_cut } = await caller.read((tx) => holdersIn(tx, kinds, 2));
  const telling = places.filter(({ length }) => length < ids.length || length <= 2);
  const communities = Map.groupBy(ids.keys(), rootsOf(ids.length, telling));
  // Each begins with its newest memory, and so they are in the order of those.
  const found = [...communities.values()].filter(({ length }) => length > 1).sort((a, b) => b.length - a.length);
  const told = found.slice(0, limit).map((all) => ({
    size: all.length,
    shown: all.slice(0, member_limit).map((place) => ids[place] ?? ""),
  }));
  const memories = await caller.read((tx) =>
    glimpsesOf(
      tx,
      told.flatMap(({ shown }) => shown),
    ),
  );
  caller.recalled("list", [...memories.values()]);
  return {
    items: told.map(({ size, shown }) => ({ size, members: shown.flatMap((id) => memories.get(id) ?? []) })),
    total: found.length,
    alone: communities.size - found.length,
    is_cut,
  };
}

/** Which one of its community stands for each of so many, the members of each group being of one community. */
function rootsOf(count: number, groups: readonly (readonly number[])[]): (place: number) => number {
  const above = Int32Array.from({ length: count }, (_, place) => place);
  const at = (place: number) => above[place] ?? place;
  const root = (place: number): number => {
    let here = place;
    while (at(here) !== here) {
      above[here] = at(at(here)); // shorter for whoever comes this way again
      here = at(here);
    }
    return here;
  };
  for (const [first = 0, ...others] of groups)
    for (const other of others) {
      const [one, two] = [root(first), root(other)];
      above[Math.max(one, two)] = Math.min(one, two);
    }
  return root;
}
