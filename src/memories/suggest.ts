import type { Caller } from "../db.ts";
import { nameOf } from "../entities/names.ts";

/** What can be completed from what a caller sees. */
export const SUGGESTED = ["entity", "tag", "access_entity"] as const;
export type Suggested = (typeof SUGGESTED)[number];

/** Values that begin with a text, at most `most` of them in their order, and how many there are. */
export interface Suggestions {
  values: string[];
  total: number;
}

/** Names of entities (by any spelling, by what was merged into them too), keys of tags or names of spaces that begin so, of active memories the caller sees. */
export function suggest(caller: Caller, what: Suggested, beginning: string, most = 100): Promise<Suggestions> {
  return caller.read(async (tx) => {
    const found = {
      entity: tx`
        select ${nameOf(tx, tx`known.key`)} as value
        from (
          select distinct coalesce(merged_into, key) as key
          from brain.entities
          where starts_with(key, app.entity_key(${beginning})) and exists (
            select from brain.memory_entities as mention
            where mention.space_id = entities.space_id and mention.key = entities.key and is_active)
        ) as known`,
      tag: tx`
        select distinct key as value
        from brain.memories, jsonb_object_keys(tags) as key
        where state = 'active' and starts_with(lower(key), lower(${beginning}))`,
      access_entity: tx`
        select access_entity as value from brain.spaces where starts_with(access_entity, ${beginning})
        union
        select held from unnest(${caller.grants as string[]}::text[]) as held where starts_with(held, ${beginning})`,
    }[what];
    const rows = await tx<{ value: string; total: number }[]>`
      select value, count(*) over ()::int as total from (${found}) as found
      order by lower(value), value collate "C" limit ${most}`;
    return { values: rows.map(({ value }) => value), total: rows[0]?.total ?? 0 };
  });
}
