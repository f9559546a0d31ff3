import type postgres from "postgres";
import type { Tx } from "../db.ts";
import { memoriesAbout } from "../entities/names.ts";
import { type Filter, within } from "./filter.ts";

/** More than so many are not looked at one by one: of that many among 100,000 the newest are found sooner by walking. */
export const MOST_CANDIDATES = 2000;

/**
 * Where the few that may fit a filter are found, rows of `id`, by what is rarest in it: a tag with its value, an
 * artifact, an entity, a tag; and what of the filter is left to ask of each. Null where it has nothing of the kind.
 */
export function candidatesOf(tx: Tx, filter: Filter): { source: postgres.Fragment; left: Filter } | null {
  const { tags, artifact_refs, entities, any_of_them } = filter;
  const [tag] = any_of_them && tags.length > 1 ? [] : tags.toSorted((one, other) => rank(one) - rank(other));
  const by_tag = tag && { source: tx`select memory_id as id from ${tagged(tx, tag)}`, left: filter };
  if (by_tag && tag.value !== null) return by_tag;
  // An artifact is mentioned as well, but for a name that is too long for that.
  if (artifact_refs?.every((name) => name.length <= 256 && name.trim() !== ""))
    return { source: mentioning(tx, artifact_refs), left: filter };
  if (entities)
    return {
      source: tx`select memory_id as id from (${memoriesAbout(tx, entities)}) as about`,
      left: { ...filter, entities: null },
    };
  return by_tag ?? null;
}

/**
 * How many memories fit a filter that asks for nothing but states, categories, spaces, apps, types of artifacts and
 * sources: spaces keep these sizes, whatever they hold. Null for any other filter.
 */
export async function sizeOf(tx: Tx, filter: Filter): Promise<number | null> {
  if (!asksSizesOnly(filter)) return null;
  const [row] = await tx<{ total: number }[]>`
    select coalesce(sum(memories), 0)::int as total
    from brain.spaces
    cross join lateral (
      -- Fenced off by its offset: among a thousand orgs the planner looked the space of each size up, one after the other.
      select memories
      from brain.space_sizes
      where space_id = spaces.id and state = any (${filter.states})
        and (${filter.categories}::text[] is null or category = any (${filter.categories}))
        and (${filter.app_ids}::uuid[] is null or app_id = any (${filter.app_ids}))
        and (${filter.apps}::text[] is null or app = any (${filter.apps}))
        and (${filter.artifact_types}::text[] is null or artifact_type = any (${filter.artifact_types}))
        and (${filter.sources}::text[] is null or source = any (${filter.sources}))
      offset 0
    ) as sizes
    where ${within(tx, filter)}`;
  return row?.total ?? 0;
}

/** Whether a filter asks for nothing but what brain.space_sizes tells apart: of a field to come, not. */
export function asksSizesOnly(filter: Filter): boolean {
  const { states: _1, categories: _2, access_entities: _3, scopes: _4, app_ids: _5, apps: _6, ...rest } = filter;
  const { artifact_types: _7, sources: _8, any_of_them: _9, include_superseded: _0, tags, ...asked } = rest;
  return tags.length === 0 && Object.values(asked).every((one) => one === null);
}

/**
 * The active memories of a filter that asks for one tag or for one entity and nothing else, to be counted by what their
 * index says alone; null for any other filter.
 */
export function askedAlone(tx: Tx, { states, tags, entities, ...others }: Filter) {
  const [tag] = tags;
  const is_alone =
    tags.length + (entities?.length ?? 0) === 1 &&
    states.join() === "active" &&
    Object.values(others).every((one) => one === null);
  if (!is_alone) return null;
  if (tag) return tx`select from ${tagged(tx, tag)} where is_active`;
  return entities && tx`select distinct memory_id from (${memoriesAbout(tx, entities)}) as about where is_active`;
}

type Tag = Filter["tags"][number];

const rank = ({ value }: Tag) => (value === null ? 1 : 0);

const tagged = (tx: Tx, { key, value }: Tag) => tx`
  (select memory_id, is_active from brain.memory_tags
   where key = ${key} ${value === null ? tx`` : tx`and value_key = app.tag_key(${value})`}) as tagged`;

const mentioning = (tx: Tx, names: readonly string[]) => tx`
  select memory_id as id from brain.memory_entities
  where key = any (array(select app.entity_key(name) from unnest(${names as string[]}::text[]) as name))`;
