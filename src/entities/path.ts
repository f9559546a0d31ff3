import type { Caller, Tx } from "../db.ts";
import { glimpses, shown } from "../graph/glimpse.ts";
import { namesOf } from "./comentions.ts";
import { type Entity, entityNamed, isShown, spellings } from "./names.ts";
import { type EntityPath, MAX_HOPS, type Step } from "./schema.ts";

/** Entities that one hop is followed from, and mentions of them that are looked at: the newest memories' first. */
const MAX_FRONTIER = 1000;
const MAX_MENTIONS = 20_000;

/** What a search from one end has found: each entity with the one it was reached from, null for the end itself. */
interface Side {
  readonly reached: Map<string, string | null>;
  /** What was reached last, the strongest first. */
  frontier: string[];
}

/**
 * A shortest way between two entities by memories that mention both, or relations, and what says so for each hop.
 * Searched from both ends, a statement for each hop; where several ways are as short, each hop takes the one that most
 * memories say. Throws NOT_FOUND for either.
 */
export function pathBetween(
  caller: Caller,
  [a, b]: readonly [string, string],
  { max_hops = MAX_HOPS }: { max_hops?: number | undefined } = {},
): Promise<EntityPath> {
  return caller.read(async (tx) => {
    const [one, other] = [await entityNamed(tx, a), await entityNamed(tx, b)];
    const { keys, is_cut } = await shortest(tx, one, other, max_hops);
    const names = await namesOf(tx, keys);
    const nameOfKey = (key: string) => names.get(key) ?? key;
    return {
      entity_a: one.name,
      entity_b: other.name,
      hops: keys.length === 0 ? null : keys.length - 1,
      entities: keys.map(nameOfKey),
      steps: await stepsOf(tx, keys, nameOfKey),
      is_cut,
    };
  });
}

/** The keys on the way, both ends among them; none where there is no way. */
async function shortest(tx: Tx, a: Entity, b: Entity, max_hops: number): Promise<{ keys: string[]; is_cut: boolean }> {
  if (a.key === b.key) return { keys: [a.key], is_cut: false };
  const sides: [Side, Side] = [sideFrom(a.key), sideFrom(b.key)];
  let is_cut = false;
  for (let hops = 1; hops <= max_hops; hops++) {
    const [side, opposite] = sides[0].frontier.length <= sides[1].frontier.length ? sides : [sides[1], sides[0]];
    const found = await neighboursIn(tx, side.frontier.slice(0, MAX_FRONTIER));
    is_cut ||= found.is_cut || side.frontier.length > MAX_FRONTIER;
    const fresh = found.neighbours.filter(({ key }) => !side.reached.has(key));
    for (const { key, source } of fresh) side.reached.set(key, source);
    // Both sides are searched whole hop by hop, so the first to meet are on a shortest way.
    const meeting = fresh.find(({ key }) => opposite.reached.has(key));
    if (meeting) return { keys: wayThrough(meeting.key, sides), is_cut };
    if (fresh.length === 0) break;
    side.frontier = fresh.map(({ key }) => key);
  }
  return { keys: [], is_cut };
}

const sideFrom = (key: string): Side => ({ reached: new Map([[key, null]]), frontier: [key] });

function wayThrough(meeting: string, [from, to]: [Side, Side]): string[] {
  const back = (side: Side) => {
    const keys: string[] = [];
    for (let key = side.reached.get(meeting) ?? null; key !== null; key = side.reached.get(key) ?? null) keys.push(key);
    return keys;
  };
  return [...back(from).reverse(), meeting, ...back(to)];
}

/** What is one hop from some entities, each with the one of them it is most strongly tied to, the strongest first. */
async function neighboursIn(tx: Tx, keys: string[]) {
  const rows = await tx<{ key: string; source: string; mentions: number }[]>`
    with spelt as materialized (
      select wanted.key as source, spelt.space_id, spelt.key
      from unnest(${keys}::text[]) as wanted (key)
      cross join lateral (${spellings(tx, tx`wanted.key`)}) as spelt
    ),
    own as materialized (
      select distinct source, memory_id
      from (
        select source, memory_id
        from spelt
        join brain.memory_entities using (space_id, key)
        where is_active
        limit ${MAX_MENTIONS}
      ) as mentions
    ),
    ties as (
      select mentions.key, source, 1 as strength
      from own
      join brain.mentions using (memory_id)
      union all
      select coalesce(ends.merged_into, other), source, 1
      from (
        select source, relations.space_id, to_key as other, memory_id
        from spelt
        join brain.relations on relations.space_id = spelt.space_id and from_key = spelt.key
        union all
        select source, relations.space_id, from_key, memory_id
        from spelt
        join brain.relations on relations.space_id = spelt.space_id and to_key = spelt.key
      ) as related
      left join brain.entities as ends on ends.space_id = related.space_id and ends.key = other
      where ${isShown(tx, tx`related.memory_id`)}
    )
    select key, (array_agg(source order by strength desc, source collate "C"))[1] as source,
           (select count(*)::int from own) as mentions
    from (select key, source, count(*) as strength from ties where key <> source group by 1, 2) as tied
    group by key
    order by max(strength) desc, key collate "C"`;
  const neighbours = rows.map(({ key, source }) => ({ key, source }));
  return { neighbours, is_cut: (rows[0]?.mentions ?? 0) >= MAX_MENTIONS };
}

const MAX_SAYING = 3;

/** What says each hop. Two statements however many hops there are. */
async function stepsOf(tx: Tx, keys: readonly string[], nameOfKey: (key: string) => string): Promise<Step[]> {
  if (keys.length < 2) return [];
  const [from, to] = [keys.slice(0, -1), keys.slice(1)];
  const ends = tx`
    select hop.place, one.space_id, one.key as one, other.key as other
    from unnest(${from}::text[], ${to}::text[]) with ordinality as hop (near, far, place)
    cross join lateral (${spellings(tx, tx`hop.near`)}) as one
    join lateral (${spellings(tx, tx`hop.far`)}) as other on other.space_id = one.space_id`;
  const said = await tx<(Step["memories"][number] & { place: number; memory_count: number })[]>`
    with sharing as materialized (
      select distinct ends.place, one.memory_id
      from (${ends}) as ends
      join brain.memory_entities as one on one.space_id = ends.space_id and one.key = ends.one
      join brain.memory_entities as other on other.memory_id = one.memory_id and other.key = ends.other
      where one.is_active
    )
    select hop.place::int, memory_count::int, newest.*
    from (select place, count(*) as memory_count from sharing group by place) as hop
    cross join lateral (
      select ${glimpses(tx)}
      from sharing
      join brain.memories on memories.id = sharing.memory_id
      join brain.spaces on spaces.id = memories.space_id
      where sharing.place = hop.place
      order by memories.created_at desc, memories.id desc
      limit ${MAX_SAYING}
    ) as newest
    order by hop.place, newest.created_at desc, newest.id desc`;
  const related = await tx<(Step["relations"][number] & { place: number })[]>`
    select place::int, id, type, direction
    from (
      select place, id, type, direction, row_number() over (partition by place order by created_at desc, id desc) as rank
      from (
        select ends.place, relations.*, 'outgoing' as direction
        from (${ends}) as ends
        join brain.relations on relations.space_id = ends.space_id and from_key = ends.one and to_key = ends.other
        union all
        select ends.place, relations.*, 'incoming'
        from (${ends}) as ends
        join brain.relations on relations.space_id = ends.space_id and from_key = ends.other and to_key = ends.one
      ) as between_both
      where ${isShown(tx, tx`between_both.memory_id`)}
    ) as ranked
    where rank <= ${MAX_SAYING}
    order by place, rank`;
  return from.map((key, index) => {
    const memories = said.filter(({ place }) => place === index + 1);
    return {
      from: nameOfKey(key),
      to: nameOfKey(to[index] ?? ""),
      memory_count: memories[0]?.memory_count ?? 0,
      memories: memories.map(({ place: _, memory_count: _count, ...memory }) => shown(memory)),
      relations: related
        .filter(({ place }) => place === index + 1)
        .map(({ id, type, direction }) => ({ id, type, direction })),
    };
  });
}
