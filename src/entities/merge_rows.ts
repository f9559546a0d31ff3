import type { Tx } from "../db.ts";
import type { Change } from "./merge.ts";
import { isShown } from "./names.ts";

/** What names an entity. */
export interface Counts {
  memory_count: number;
  relation_count: number;
  event_count: number;
}

const NOTHING: Counts = { memory_count: 0, relation_count: 0, event_count: 0 };

/** How many memories, relations and events come to count for another entity: of each group, and of each variant of it. */
export async function countsIn(tx: Tx, changes: readonly Change[]) {
  const rows = await tx<(Counts & { group: number; variant: number | null })[]>`
    with changed as materialized (
      select * from json_to_recordset(${JSON.stringify(changes)}::text::json)
        as change ("group" int, variant int, space_id int, key text)
    ),
    named as (
      select "group", variant, 'memory' as kind, memory_id as id
      from changed
      join brain.memory_entities using (space_id, key)
      where is_active
      union
      select "group", variant, 'relation', relations.id
      from changed
      join brain.relations on relations.space_id = changed.space_id and from_key = changed.key
      where ${isShown(tx, tx`relations.memory_id`)}
      union
      select "group", variant, 'relation', relations.id
      from changed
      join brain.relations on relations.space_id = changed.space_id and to_key = changed.key
      where ${isShown(tx, tx`relations.memory_id`)}
      union
      select "group", variant, 'event', events.id
      from changed
      join brain.event_entities using (space_id, key)
      join brain.events on events.id = event_id
      where ${isShown(tx, tx`events.memory_id`)}
    )
    select "group", variant,
           count(distinct id) filter (where kind = 'memory')::int as memory_count,
           count(distinct id) filter (where kind = 'relation')::int as relation_count,
           count(distinct id) filter (where kind = 'event')::int as event_count
    from named
    group by grouping sets (("group"), ("group", variant))`;
  const counts = (group: number, variant: number | null): Counts => {
    const found = rows.find((row) => row.group === group && row.variant === variant);
    return found
      ? {
          memory_count: found.memory_count,
          relation_count: found.relation_count,
          event_count: found.event_count,
        }
      : NOTHING;
  };
  return {
    of: (group: number): [whole: Counts, variant: (place: number) => Counts] => [
      counts(group, null),
      (place) => counts(group, place),
    ],
  };
}

/** Makes the changes, with what is needed to undo them; gives the id of each group's merge, none where it has no change. */
export async function applyIn(tx: Tx, changes: readonly Change[]): Promise<(string | undefined)[]> {
  if (changes.length === 0) return [];
  const ids: (string | undefined)[] = [];
  for (const { group } of changes) ids[group] ??= Bun.randomUUIDv7();
  const rows = JSON.stringify(changes.map((change) => ({ ...change, id: ids[change.group] })));
  // Where a space has not known the canonical name, it does from now on.
  await tx`
    insert into brain.entities (space_id, key, display_name)
    select distinct on (space_id, "into") space_id, "into", into_name
    from json_to_recordset(${rows}::text::json) as change (space_id int, "into" text, into_name text)
    order by space_id, "into"
    on conflict do nothing`;
  await tx`
    update brain.entities
    set merged_into = change."into"
    from json_to_recordset(${rows}::text::json) as change (space_id int, key text, "into" text)
    where entities.space_id = change.space_id and entities.key = change.key`;
  await tx`
    insert into brain.entity_merges (id, space_id, key, variants)
    select id, space_id, "into", jsonb_agg(jsonb_build_object('key', key, 'was', was) order by key)
    from json_to_recordset(${rows}::text::json) as change (id uuid, space_id int, "into" text, key text, was text)
    group by id, space_id, "into"`;
  return ids;
}
