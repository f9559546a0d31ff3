import type { Tx } from "../db.ts";
import { ofSpaces, type Term } from "./terms.ts";

/**
 * How much of a word that is said in the memories before and after counts as if it were said in this one, the next ones
 * first. An answer follows what was asked: before counts for more. On LoCoMo (recall at 10, conversations 0 to 4) this
 * took BM25 from 62.9 to 74; counted by word and then saturated, 1.5 more than neighbours' scores added up.
 */
const BEFORE = [0.5, 0.3, 0.18, 0.11] as const;
const AFTER = [0.4, 0.24, 0.14, 0.09] as const;
/** Neighbours are looked at around so many of the best hits. */
const STRONG_HITS = 30;

/** Who comes before and after whom in a thread, around the best hits; they themselves are among them. */
export async function neighboursOf(
  tx: Tx,
  hits: readonly { id: string; has_thread: boolean }[],
  states: readonly string[],
): Promise<ReadonlyMap<string, Neighbours>> {
  const strong = hits.slice(0, STRONG_HITS).filter(({ has_thread }) => has_thread);
  if (strong.length === 0) return new Map();
  return linked(
    await windows(
      tx,
      strong.map(({ id }) => id),
      states,
    ),
  );
}

/** What each of these memories earns by its own words and its neighbours', by its id. */
export async function scoresInThreads(
  tx: Tx,
  terms: readonly Term[],
  neighbours: ReadonlyMap<string, Neighbours>,
  space_ids: readonly number[] | null,
): Promise<Map<string, number>> {
  if (neighbours.size === 0) return new Map();
  const said_in = await saidIn(tx, terms, [...neighbours.keys()], space_ids);
  const scores = new Map<string, number>();
  for (const id of neighbours.keys()) {
    const said = new Float64Array(terms.length);
    add(said, said_in.get(id), 1);
    for (const [near, share] of along(id, "before", BEFORE, neighbours)) add(said, said_in.get(near), share);
    for (const [near, share] of along(id, "after", AFTER, neighbours)) add(said, said_in.get(near), share);
    scores.set(
      id,
      terms.reduce((sum, { weight }, place) => sum + weight * saturated(said[place] ?? 0), 0),
    );
  }
  return scores;
}

const saturated = (said: number) => said / (said + 1);

function add(sum: Float64Array, said: Float64Array | undefined, share: number) {
  if (said)
    for (let place = 0; place < sum.length; place++) sum[place] = (sum[place] ?? 0) + share * (said[place] ?? 0);
}

interface Neighbours {
  before?: string;
  after?: string;
}

/**
 * The ids around each hit in its thread, the hit among them, in the thread's order. Whole rows of the thread's index are
 * compared, so that no other index gives this order: by time alone the planner may walk the whole space, or the org.
 */
async function windows(tx: Tx, ids: string[], states: readonly string[]): Promise<string[][]> {
  const rows = await tx<{ ids: string[] }[]>`
    select to_json(array(select id from (
             select near.id, near.created_at from brain.memories as near
             where near.space_id = hit.space_id and state = any (${states as string[]}) and near.thread is not null
               and (near.thread, near.created_at, near.id) < (hit.thread, hit.created_at, hit.id)
               and (near.thread, near.created_at, near.id) >= (hit.thread, '-infinity'::timestamptz, ${NO_ID}::uuid)
             order by near.thread desc, near.created_at desc, near.id desc limit ${BEFORE.length}) as earlier
           order by created_at, id)
           || hit.id ||
           array(select id from (
             select near.id, near.created_at from brain.memories as near
             where near.space_id = hit.space_id and state = any (${states as string[]}) and near.thread is not null
               and (near.thread, near.created_at, near.id) > (hit.thread, hit.created_at, hit.id)
               and (near.thread, near.created_at, near.id) <= (hit.thread, 'infinity'::timestamptz, ${NO_ID}::uuid)
             order by near.thread, near.created_at, near.id limit ${AFTER.length}) as later
           order by created_at, id)) as ids
    from brain.memories as hit
    where hit.id = any (${ids}::uuid[])`;
  return rows.map((row) => row.ids);
}

/** Below every memory's. */
const NO_ID = "00000000-0000-0000-0000-000000000000";

function linked(windows: readonly (readonly string[])[]): Map<string, Neighbours> {
  const neighbours = new Map<string, Neighbours>();
  const at = (id: string) => {
    const known = neighbours.get(id) ?? {};
    neighbours.set(id, known);
    return known;
  };
  for (const ids of windows)
    for (const [place, id] of ids.entries()) {
      const after = ids[place + 1];
      at(id);
      if (after === undefined) continue;
      at(id).after = after;
      at(after).before = id;
    }
  return neighbours;
}

/** Whom one meets walking along a thread, each with its share. */
function along(
  id: string,
  way: keyof Neighbours,
  shares: readonly number[],
  neighbours: ReadonlyMap<string, Neighbours>,
): [string, number][] {
  const met: [string, number][] = [];
  let here: string | undefined = id;
  for (const share of shares) {
    here = neighbours.get(here)?.[way];
    if (here === undefined) break;
    met.push([here, share]);
  }
  return met;
}

/**
 * How much each memory says of each term, in the terms' order: what it earned before it was saturated (sql/terms.sql).
 * As one JSON text, which is read in a tenth of the time that as many rows take.
 */
async function saidIn(
  tx: Tx,
  terms: readonly Term[],
  ids: string[],
  space_ids: readonly number[] | null,
): Promise<Map<string, Float64Array>> {
  const [row] = await tx<{ found: [id: string, term: string, earned: number][] }[]>`
    select coalesce(json_agg(json_build_array(memory_id, term, earned)), '[]') as found
    from brain.memory_terms
    where term = any (${terms.map(({ term }) => term)}::text[]) and memory_id = any (${ids}::uuid[])
      and ${ofSpaces(tx, space_ids)}`;
  const places = new Map(terms.map(({ term }, place) => [term, place]));
  const said = new Map<string, Float64Array>();
  for (const [id, term, earned] of row?.found ?? []) {
    const known = said.get(id) ?? new Float64Array(terms.length);
    known[places.get(term) ?? 0] = earned / (1 - earned);
    said.set(id, known);
  }
  return said;
}
