import type { Caller } from "../db.ts";
import { countsBySpace } from "./counts.ts";
import { type Duplicates, USUAL_THRESHOLD } from "./normalization_schema.ts";
import { type Compared, type Likely, likelyGroups } from "./similar.ts";

/** Names that are compared with each other, the most mentioned ones: half a second of the process at most. */
const MAX_COMPARED = 3000;
/** Sure enough to be told as a duplicate without a word about how sure. */
export const SURE_ENOUGH = 0.85;

/** A name of a space. */
export interface NameOfSpace extends Compared {
  readonly space_id: number;
  readonly access_entity: string;
}

/** What to look through for duplicates, and how sure it must be. */
export interface DuplicateFilter {
  access_entity?: string | undefined;
  limit?: number | undefined;
  threshold?: number | undefined;
}

/** Names that are surely other spellings of a more usual one of their space. */
export const findDuplicates = (caller: Caller, filter: Omit<DuplicateFilter, "threshold">): Promise<Duplicates> =>
  findAtLeast(caller, { ...filter, threshold: SURE_ENOUGH });

/** Names that may be other spellings, as sure as the threshold wants; by the letters, as there are no embeddings. */
export const findSemanticDuplicates = (caller: Caller, filter: DuplicateFilter): Promise<Duplicates> =>
  findAtLeast(caller, { ...filter, threshold: filter.threshold ?? USUAL_THRESHOLD });

async function findAtLeast(
  caller: Caller,
  { access_entity, limit = 50, threshold }: DuplicateFilter & { threshold: number },
): Promise<Duplicates> {
  const { groups, is_cut } = await likelyDuplicates(caller, access_entity, threshold);
  const items = groups.slice(0, limit).map(({ canonical, variants }) => ({
    access_entity: canonical.access_entity,
    canonical: canonical.name,
    memory_count: canonical.memory_count,
    variants: variants.map(({ name, memory_count, why, confidence }) => ({ name, memory_count, why, confidence })),
  }));
  return { items, total: groups.length, method: "strings", threshold, is_cut };
}

/** The groups of names of each space that seem to be one thing, the surest first. Compared when the transaction is over. */
export async function likelyDuplicates(
  caller: Caller,
  access_entity: string | undefined,
  threshold: number,
): Promise<{ groups: Likely<NameOfSpace>[]; is_cut: boolean }> {
  const names = await caller.read(
    (tx) => tx<NameOfSpace[]>`
      select counted.space_id, access_entity, key, display_name as name, memories as memory_count
      from (${countsBySpace(tx)}) as counted
      join brain.entities using (space_id, key)
      join brain.spaces on spaces.id = counted.space_id
      where (${access_entity ?? null}::text is null or access_entity = ${access_entity ?? null})
      order by memories desc, key collate "C", counted.space_id
      limit ${MAX_COMPARED + 1}`,
  );
  // What a merge joins is of one space, so names are compared within each.
  const spaces = Map.groupBy(names.slice(0, MAX_COMPARED), ({ space_id }) => space_id);
  const groups = [...spaces.values()].flatMap((inside) => likelyGroups(inside, threshold));
  return { groups: groups.sort(bySureness), is_cut: names.length > MAX_COMPARED };
}

const bySureness = (a: Likely<NameOfSpace>, b: Likely<NameOfSpace>) =>
  (b.variants[0]?.confidence ?? 0) - (a.variants[0]?.confidence ?? 0) ||
  b.canonical.memory_count - a.canonical.memory_count ||
  (a.canonical.key === b.canonical.key
    ? a.canonical.space_id - b.canonical.space_id
    : a.canonical.key < b.canonical.key
      ? -1
      : 1);
