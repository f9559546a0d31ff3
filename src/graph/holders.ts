import type { Tx } from "../db.ts";
import type { Kind } from "./schema.ts";
import { activeMemories, activeMentions } from "./visible.ts";

/** Memories that are looked at together; of more, the newest, and the answer says so. */
const MAX_MEMORIES = 20_000;

/** Which memories have the same things. */
export interface Holders {
  /** The newest first. */
  readonly ids: readonly string[];
  /** For each thing, the places in `ids` of those that have it. */
  readonly places: readonly (readonly number[])[];
  /** Whether older memories were left out. */
  readonly is_cut: boolean;
}

/** Reads which active memories have which things of some kinds; only things of `min_count` memories or more. Two statements. */
export async function holdersIn(tx: Tx, kinds: readonly Kind[], min_count: number): Promise<Holders> {
  const newest = await tx<{ id: string }[]>`
    select id from ${activeMemories(tx)} as memories order by created_at desc, id desc limit ${MAX_MEMORIES + 1}`;
  const ids = newest.slice(0, MAX_MEMORIES).map(({ id }) => id);
  const asks = (kind: Kind) => kinds.includes(kind);
  const things = await tx<{ places: string }[]>`
    with numbered as materialized (
      select id, place::int - 1 as place from unnest(${ids}::uuid[]) with ordinality as given (id, place)
    ),
    told as materialized (
      select memories.id, place, tags, evidence, artifact_ref, code_refs
      from numbered
      join brain.memories using (id)
      where ${kinds.some((kind) => kind !== "entity")}
    )
    select string_agg(place::text, ',') as places
    from (
      select 'entity' as kind, mentions.key, place
      from numbered
      join ${activeMentions(tx)} as mentions on memory_id = id
      where ${asks("entity")}
      union all
      select 'tag', tag.key || '=' || value, place from told cross join jsonb_each(tags) as tag where ${asks("tag")}
      union all
      select distinct 'evidence', piece, place from told cross join unnest(evidence) as piece where ${asks("evidence")}
      union all
      select 'artifact_ref', artifact_ref, place from told where ${asks("artifact_ref")} and artifact_ref is not null
      union all
      select distinct 'code_ref', concat_ws(' ', ref ->> 'repo', ref ->> 'path'), place
      from told
      cross join jsonb_array_elements(code_refs) as ref
      where ${asks("code_ref")}
    ) as things
    group by kind, key
    having count(*) >= ${min_count}`;
  return {
    ids,
    places: things.map(({ places }) => places.split(",").map(Number)),
    is_cut: newest.length > MAX_MEMORIES,
  };
}
