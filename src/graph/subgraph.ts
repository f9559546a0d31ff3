import type { Caller, Tx } from "../db.ts";
import { isShown, spellings } from "../entities/names.ts";
import { expectInGraph } from "./glimpse.ts";
import { glimpsesOf, type Tie, thingsOf, tiesOf } from "./related.ts";
import { type GraphEdge, type GraphNode, KINDS, LIMITS, type Subgraph } from "./schema.ts";
import { wordsFrom } from "./words.ts";

/** Memories of the first step that a second one is taken from, the nearest ones. */
const MAX_SECOND_SEEDS = 5;

/**
 * What lies around a memory: what it is about, the memories that share some of it, and with depth 2 what is related to
 * those; how the entities among all that are related, and which memory replaces which. Each is told once.
 * `related_limit` is for both steps together; with depth 2 the first takes no more than half of it, rounded up.
 * Throws NOT_FOUND, INVALID_INPUT.
 */
export async function memorySubgraph(
  caller: Caller,
  memory_id: string,
  {
    depth = 2,
    via,
    related_limit = LIMITS.subgraph[1],
  }: { depth?: 1 | 2 | undefined; via?: string | undefined; related_limit?: number | undefined } = {},
): Promise<Subgraph> {
  const kinds = wordsFrom(via, KINDS, "via") ?? KINDS;
  const seed_id = memory_id.toLowerCase();
  const answer = await caller.read(async (tx) => {
    await expectInGraph(tx, seed_id);
    const first = await tiesOf(tx, [seed_id], kinds, depth === 1 ? related_limit : Math.ceil(related_limit / 2));
    const reached = first.map(({ id }) => id);
    const room = related_limit - reached.length;
    const second =
      depth === 2 && room > 0 && reached.length > 0
        ? furthest(
            await tiesOf(tx, reached.slice(0, MAX_SECOND_SEEDS), kinds, room + reached.length + 1),
            [seed_id, ...reached],
            room,
          )
        : [];

    const nodes = new Map<string, GraphNode>();
    const edges = new Map<string, GraphEdge>();
    const link = (memory: string, { kind, key, name }: Thing) => {
      const id = `${kind}:${name}`;
      nodes.set(id, { id, kind, name });
      edges.set(`${memory} ${id}`, { source: memory, target: id, kind });
      if (kind === "entity") entities.set(key, id);
    };
    const entities = new Map<string, string>();
    const memories = [...new Set([seed_id, ...reached, ...second.map(({ id }) => id)])];
    for (const [id, { preview, category, access_entity, created_at }] of await glimpsesOf(tx, memories))
      nodes.set(id, { id, kind: "memory", category, access_entity, preview, created_at });
    for (const thing of await thingsOf(tx, seed_id, kinds)) link(seed_id, thing);
    for (const { seed_id: from, id, shared } of [...first, ...second])
      for (const thing of shared) {
        link(from, thing);
        link(id, thing);
      }
    const between = [...(await relationsAmong(tx, entities)), ...(await replacementsAmong(tx, memories))];
    return {
      memory_id: seed_id,
      depth,
      nodes: inOrder(memories, nodes),
      edges: [...edges.values(), ...between],
      total: first[0]?.total ?? 0,
    };
  });
  caller.recalled(
    "related",
    answer.nodes.filter(({ kind }) => kind === "memory"),
  );
  return answer;
}

type Thing = Pick<Tie["shared"][number], "kind" | "key" | "name">;

/** The strongest ties that lead to what is not there yet, to so many of them. */
function furthest(ties: Tie[], known: readonly string[], room: number): Tie[] {
  const fresh = ties
    .filter(({ id }) => !known.includes(id))
    .sort((a, b) => b.score - a.score || (a.id < b.id ? 1 : -1));
  const chosen = [...new Set(fresh.map(({ id }) => id))].slice(0, room);
  return fresh.filter(({ id }) => chosen.includes(id));
}

/** Memories first, in the order they were reached, then things by their ids. */
function inOrder(memories: readonly string[], nodes: Map<string, GraphNode>): GraphNode[] {
  const things = [...nodes.values()].filter(({ kind }) => kind !== "memory").sort((a, b) => (a.id < b.id ? -1 : 1));
  return [...memories.flatMap((id) => nodes.get(id) ?? []), ...things];
}

const MAX_RELATIONS = 200;

/** Relations from one of these entities to another of them, by the nodes of their keys. */
async function relationsAmong(tx: Tx, entities: ReadonlyMap<string, string>): Promise<GraphEdge[]> {
  const rows = await tx<{ from_key: string; to_key: string; type: string }[]>`
    with spelt as materialized (
      select entity.key as entity, spelt.space_id, spelt.key
      from unnest(${[...entities.keys()]}::text[]) as entity (key)
      cross join lateral (${spellings(tx, tx`entity.key`)}) as spelt
    )
    select distinct one.entity as from_key, other.entity as to_key, type
    from spelt as one
    join brain.relations on relations.space_id = one.space_id and relations.from_key = one.key
    join spelt as other on other.space_id = relations.space_id and other.key = relations.to_key
    where ${isShown(tx, tx`relations.memory_id`)}
    order by 1, 2, 3
    limit ${MAX_RELATIONS}`;
  return rows.flatMap(({ from_key, to_key, type }) => {
    const [source, target] = [entities.get(from_key), entities.get(to_key)];
    return source && target ? [{ source, target, kind: "relation" as const, type }] : [];
  });
}

/** Which of these memories replaces which other. */
async function replacementsAmong(tx: Tx, ids: readonly string[]): Promise<GraphEdge[]> {
  const rows = await tx<{ source: string; target: string }[]>`
    select id as source, supersedes as target
    from brain.memories
    where id = any (${ids as string[]}::uuid[]) and supersedes = any (${ids as string[]}::uuid[]) and state = 'active'
    order by id`;
  return rows.map((row) => ({ ...row, kind: "supersedes" as const }));
}
