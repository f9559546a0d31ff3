import type { Caller, Tx } from "../db.ts";
import { nameOf, spellings } from "../entities/names.ts";
import { expectInGraph, glimpses, shown } from "./glimpse.ts";
import { KINDS, type Kind, LIMITS, type RelatedMemories, type Shared } from "./schema.ts";
import { activeCount, activeMemories } from "./visible.ts";
import { wordsFrom } from "./words.ts";

/** Things of one memory that are looked for elsewhere, so that no memory is asked about without bound. */
const MAX_THINGS = 128;
/** Of what two memories share, the heaviest are shown. */
const MAX_SHARED = 10;

/** Two memories and what they share. */
export interface Tie {
  seed_id: string;
  id: string;
  score: number;
  /** Each with its key, which tells it from others of its kind. */
  shared: (Shared & { key: string })[];
  shared_count: number;
  /** How many are tied to that seed, shown or not. */
  total: number;
}

/** What a memory shares with others, and with which: the most first. Throws NOT_FOUND, INVALID_INPUT. */
export async function relatedMemories(
  caller: Caller,
  memory_id: string,
  { via, limit = LIMITS.related[1] }: { via?: string | undefined; limit?: number | undefined } = {},
): Promise<RelatedMemories> {
  const kinds = wordsFrom(via, KINDS, "via") ?? KINDS;
  const answer = await caller.read(async (tx) => {
    await expectInGraph(tx, memory_id);
    const ties = await tiesOf(tx, [memory_id], kinds, limit);
    const memories = await glimpsesOf(
      tx,
      ties.map(({ id }) => id),
    );
    return {
      memory_id: memory_id.toLowerCase(),
      items: ties.flatMap(({ id, score, shared, shared_count }) => {
        const memory = memories.get(id);
        const told = shared.map(({ kind, name, weight }) => ({ kind, name, weight }));
        return memory ? [{ ...memory, score, shared: told, shared_count }] : [];
      }),
      total: ties[0]?.total ?? 0,
    };
  });
  caller.recalled("related", answer.items);
  return answer;
}

/** Glimpses of active memories, by their ids. */
export async function glimpsesOf(tx: Tx, ids: readonly string[]) {
  const rows = await tx<RelatedMemories["items"]>`
    select ${glimpses(tx)}
    from brain.memories
    join brain.spaces on spaces.id = space_id
    where memories.id = any (${ids as string[]}::uuid[]) and state = 'active'`;
  return new Map(rows.map((row) => [row.id, shown(row)]));
}

/**
 * The things of some memories, of some kinds: `key` tells a thing from others of its kind, `part` is what it is looked
 * for by at first, and `same_as` is equal for one thing told in two ways, as a file is that is both a place in code and
 * named in the text.
 */
const things = (tx: Tx, ids: readonly string[], kinds: readonly Kind[]) => tx`
  select seed_id, kind, key, part, coalesce(name, key) as name, same_as
  from (
    select *, row_number() over (partition by seed_id order by kind, key) as place
    from (
      select memory_id as seed_id, 'entity' as kind, key, key as part, ${nameOf(tx, tx`mentioned.key`)} as name,
             'entity ' || key as same_as
      from (
        select distinct memory_id, key
        from brain.mentions
        where memory_id = any (${ids as string[]}::uuid[]) and is_active
        offset 0 -- or its name would be looked for among all of them
      ) as mentioned
      union
      select memories.id, kind, key, part, name, same_as
      from brain.memories
      cross join lateral (
        select 'tag' as kind, tag.key || '=' || value as key, tag.key as part,
               case when value = 'true' then tag.key else tag.key || '=' || (value #>> '{}') end as name,
               'tag ' || tag.key || '=' || value as same_as
        from jsonb_each(tags) as tag
        union all
        select 'evidence', piece, piece, piece, 'evidence ' || piece from unnest(evidence) as piece
        union all
        select 'artifact_ref', artifact_ref, artifact_ref, artifact_ref, 'entity ' || app.entity_key(artifact_ref)
        where artifact_ref is not null
        union all
        select 'code_ref', ${codeKey(tx)}, ref ->> 'path', ${codeKey(tx)}, 'entity ' || app.entity_key(ref ->> 'path')
        from jsonb_array_elements(code_refs) as ref
      ) as told
      where memories.id = any (${ids as string[]}::uuid[]) and state = 'active'
    ) as every
    where kind = any (${kinds as Kind[]}::text[])
  ) as numbered
  where place <= ${MAX_THINGS}`;

/** The things of one memory, of some kinds. */
export const thingsOf = (tx: Tx, id: string, kinds: readonly Kind[]) =>
  tx<{ kind: Kind; key: string; name: string }[]>`
    select kind, key, name from (${things(tx, [id], kinds)}) as things order by kind, key`;

/** A place in code by its repository and path: the line is not what two memories have in common. */
const codeKey = (tx: Tx) => tx`concat_ws(' ', ref ->> 'repo', ref ->> 'path')`;

/**
 * What some memories share with others and with which, for each of them the most first. In one statement: their things,
 * who else has those, how rare each is among all the caller sees, and what that comes to. What everything has relates
 * nothing, unless there are but two.
 */
export async function tiesOf(tx: Tx, seeds: readonly string[], kinds: readonly Kind[], limit: number): Promise<Tie[]> {
  const parts = (kind: Kind) => tx`(select array_agg(part) from wanted where kind = ${kind})::text[]`;
  const rows = await tx<Tie[]>`
    with wanted as materialized (${things(tx, seeds, kinds)}),
    -- One look at each memory, cheaply; whether it has the very thing is asked below.
    near as materialized (
      select *
      from (
        select id, artifact_ref, tags ?| ${parts("tag")} as has_tag, tags,
               evidence && ${parts("evidence")} as has_evidence, evidence,
               artifact_ref = any (${parts("artifact_ref")}) as has_artifact,
               code_refs @> any ((
                 select array_agg(jsonb_build_array(jsonb_build_object('path', part))) from wanted where kind = 'code_ref'
               )::jsonb[]) as has_code, code_refs
        from ${activeMemories(tx)} as memories
        where exists (select from wanted where kind <> 'entity')
      ) as looked_at
      where has_tag or has_evidence or has_artifact or has_code
    ),
    holders as materialized (
      select distinct 'entity' as kind, entity.key, memory_id
      from (select distinct key from wanted where kind = 'entity') as entity
      cross join lateral (${spellings(tx, tx`entity.key`)}) as spelt
      join brain.memory_entities on memory_entities.space_id = spelt.space_id and memory_entities.key = spelt.key
      where is_active
      union all
      select 'tag', tag.key || '=' || value, id from near cross join jsonb_each(tags) as tag
      where has_tag and tag.key || '=' || value in (select key from wanted where kind = 'tag')
      union all
      select distinct 'evidence', piece, id from near cross join unnest(evidence) as piece
      where has_evidence and piece in (select key from wanted where kind = 'evidence')
      union all
      select 'artifact_ref', artifact_ref, id from near where has_artifact
      union all
      select distinct 'code_ref', ${codeKey(tx)}, id from near cross join jsonb_array_elements(code_refs) as ref
      where has_code and ${codeKey(tx)} in (select key from wanted where kind = 'code_ref')
    ),
    everything as materialized (select ${activeCount(tx)} as count),
    weights as (
      select kind, key, ln(1 + everything.count::float8 / count(*)) as weight
      from holders
      cross join everything
      group by kind, key, everything.count
      having count(*) < everything.count or everything.count <= 2
    ),
    shared as materialized (
      select distinct on (seed_id, memory_id, same_as) seed_id, memory_id as id, kind, key, name, weight
      from wanted
      join weights using (kind, key)
      join holders using (kind, key)
      where memory_id <> seed_id
      order by seed_id, memory_id, same_as, weight desc, kind
    ),
    placed as (
      select *, row_number() over (partition by seed_id order by score desc, id desc) as place,
             count(*) over (partition by seed_id)::int as total
      from (
        select seed_id, id, round(sum(weight)::numeric, 4)::float8 as score, count(*)::int as shared_count
        from shared
        group by seed_id, id
      ) as scored
    )
    select seed_id, id, score, shared_count, total,
           json_agg(json_build_object('kind', kind, 'key', key, 'name', name, 'weight', round(weight::numeric, 4))
                    order by weight desc, kind, key) as shared
    from placed
    join shared using (seed_id, id)
    where place <= ${limit}
    group by seed_id, id, score, shared_count, total, place
    order by seed_id, place`;
  return rows.map((row) => ({ ...row, shared: row.shared.slice(0, MAX_SHARED) }));
}
