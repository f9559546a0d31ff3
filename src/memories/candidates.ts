import type { Tx } from "../db.ts";
import { memoriesAbout } from "../entities/names.ts";
import type { Filter } from "./filter.ts";

/** More than so many are not looked at one by one: of that many the newest are found soon by walking. */
const MOST = 1000;

/** Memories that may fit a filter, all of them, and what of the filter is left to ask of each. */
interface Candidates {
  ids: string[];
  filter: Filter;
}

/**
 * Finds the few that may fit a filter by what is rarest in it: a tag with its value, an artifact, an entity, a tag. Null
 * where the filter has nothing of the kind, or many have it.
 */
export async function candidatesIn(tx: Tx, filter: Filter): Promise<Candidates | null> {
  const found = sourceOf(tx, filter);
  if (!found) return null;
  const rows = await tx<{ id: string }[]>`select id from (${found.source}) as found limit ${MOST + 1}`;
  if (rows.length > MOST) return null;
  return { ids: [...new Set(rows.map(({ id }) => id))], filter: found.left };
}

function sourceOf(tx: Tx, filter: Filter) {
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

/** What a filter asks for that asks for one tag of active memories and nothing else, to be counted by its index; else null. */
export function taggedAlone(tx: Tx, { states, tags: [tag, ...more], ...others }: Filter) {
  const is_alone =
    more.length === 0 && states.join() === "active" && Object.values(others).every((one) => one === null);
  return tag && is_alone ? tx`select from ${tagged(tx, tag)} where is_active` : null;
}

type Tag = Filter["tags"][number];

const rank = ({ value }: Tag) => (value === null ? 1 : 0);

const tagged = (tx: Tx, { key, value }: Tag) => tx`
  (select memory_id, is_active from brain.memory_tags
   where key = ${key} ${value === null ? tx`` : tx`and value_key = app.tag_key(${value})`}) as tagged`;

const mentioning = (tx: Tx, names: readonly string[]) => tx`
  select memory_id as id from brain.memory_entities
  where key = any (array(select app.entity_key(name) from unnest(${names as string[]}::text[]) as name))`;
