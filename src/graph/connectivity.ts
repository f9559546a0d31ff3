import type { Caller } from "../db.ts";
import type { Connectivity } from "./analytics_schema.ts";
import { type Holders, holdersIn } from "./holders.ts";
import { glimpsesOf } from "./related.ts";
import { LIMITS } from "./schema.ts";

/** Steps from a memory to one of its neighbours, in all: about 50 ms, during which the process does nothing else. */
const MAX_STEPS = 20_000_000;

interface Connected {
  place: number;
  entity_count: number;
  neighbour_count: number;
  connectivity: number;
}

/** The memories that are tied to most: by how many entities they mention and how many others mention one of those. */
export async function connectivity(
  caller: Caller,
  { limit = LIMITS.connectivity[1] }: { limit?: number | undefined } = {},
): Promise<Connectivity> {
  const holders = await caller.read((tx) => holdersIn(tx, ["entity"], 1));
  const { most, total, is_cut } = mostConnected(holders, limit);
  const ids = most.map(({ place }) => holders.ids[place] ?? "");
  const memories = await caller.read((tx) => glimpsesOf(tx, ids));
  caller.recalled("list", [...memories.values()]);
  return {
    items: most.flatMap(({ place: _, ...counts }, rank) => {
      const memory = memories.get(ids[rank] ?? "");
      return memory ? [{ ...memory, ...counts }] : [];
    }),
    total,
    is_cut: holders.is_cut || is_cut,
  };
}

/**
 * The first so many by connectivity, the newest first of equal ones. The neighbours of a memory are at most those of its
 * entities together: memories are counted in that order until no other can be among the first.
 */
export function mostConnected({ ids, places }: Pick<Holders, "ids" | "places">, limit: number) {
  const entities: number[][] = ids.map(() => []);
  for (const [entity, holding] of places.entries()) for (const place of holding) entities[place]?.push(entity);
  const candidates = entities
    .map((own, place) => ({
      place,
      own,
      bound: own.reduce((sum, entity) => sum + (places[entity]?.length ?? 0), 0), // itself among them, once for each
    }))
    .filter(({ own }) => own.length > 0)
    .sort((a, b) => b.bound - a.bound);

  const seen_by = new Int32Array(ids.length).fill(-1);
  const neighboursOf = (place: number, own: number[]) => {
    let count = 0;
    seen_by[place] = place;
    for (const entity of own)
      for (const other of places[entity] ?? [])
        if (seen_by[other] !== place) {
          seen_by[other] = place;
          count++;
        }
    return count;
  };

  let most: Connected[] = [];
  let steps = 0;
  let is_cut = false;
  for (const { place, own, bound } of candidates) {
    const last = most[limit - 1];
    if (last && last.connectivity > bound) break;
    is_cut = steps + bound > MAX_STEPS && steps > 0;
    if (is_cut) break;
    steps += bound;
    const neighbour_count = neighboursOf(place, own);
    const found = { place, entity_count: own.length, neighbour_count, connectivity: own.length + neighbour_count };
    if (last && last.connectivity > found.connectivity) continue;
    most = [...most, found].sort((a, b) => b.connectivity - a.connectivity || a.place - b.place).slice(0, limit);
  }
  return { most, total: candidates.length, is_cut };
}
