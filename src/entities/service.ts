import type { Caller, Tx } from "../db.ts";
import { ANY } from "../memories/filter.ts";
import { listMemories } from "../memories/list.ts";
import { invalidInput } from "../problem.ts";
import { memoryCounts } from "./counts.ts";
import { type Entity, entityNamed, nameOf, spellings } from "./names.ts";
import { relationsIn } from "./relations.ts";
import type { Connection, EntitiesQuery, EntityDetail, EntityMemories, EntityNetwork, EntityPage } from "./schema.ts";

const MAX_OTHER_NAMES = 50;
/** What of its network and relations an entity itself is shown with. */
const SHOWN_WITH_IT = 10;

/** What the caller's active memories mention, the most mentioned first. Throws INVALID_INPUT for a cursor of no list. */
export function listEntities(
  caller: Caller,
  { limit = 50, min_memories = 1, cursor }: EntitiesQuery,
): Promise<EntityPage> {
  const after = cursor ? placeFrom(cursor) : null;
  return caller.read(async (tx) => {
    const rows = await tx<{ key: string | null; name: string; memory_count: number; total: number }[]>`
      with counted as materialized (
        select key, memories as memory_count from (${memoryCounts(tx)}) as counted where memories >= ${min_memories}
      ),
      page as (
        select key, memory_count
        from counted
        where ${after === null} or (-memory_count, key collate "C") > (-${after?.count ?? 0}::int, ${after?.key ?? ""} collate "C")
        order by memory_count desc, key collate "C"
        limit ${limit + 1}
      )
      select key, ${nameOf(tx, tx`page.key`)} as name, memory_count, total
      from (select count(*)::int as total from counted) as totals
      left join page on true -- where the page is empty the total is told all the same
      order by memory_count desc, key collate "C"`;
    const items = rows.slice(0, limit).filter(({ key }) => key !== null);
    const last = items.at(-1);
    return {
      items: items.map(({ name, memory_count }) => ({ name, memory_count })),
      total: rows[0]?.total ?? 0,
      next_cursor: rows.length > limit && last ? cursorOf(last) : null,
    };
  });
}

const cursorOf = ({ key, memory_count }: { key: string | null; memory_count: number }) =>
  Buffer.from(`${memory_count} ${key}`).toString("base64url");

function placeFrom(cursor: string): { count: number; key: string } {
  const [, count, key] = /^([1-9]\d{0,8}) ([^\0]+)$/s.exec(Buffer.from(cursor, "base64url").toString()) ?? [];
  if (!count || !key) throw invalidInput([{ at: "cursor", message: "is not one that this list gave out" }]);
  return { count: Number(count), key };
}

/** An entity by any of its spellings, with the best of what is around it. Throws NOT_FOUND. */
export function getEntity(caller: Caller, name: string): Promise<EntityDetail> {
  return caller.read(async (tx) => {
    const entity = await entityNamed(tx, name);
    const [counts] = await tx<{ other_names: string[]; memory_count: number }[]>`
      with spelt as materialized (${spellings(tx, tx`${entity.key}::text`)})
      select (select count(distinct memory_id)::int
              from spelt
              join brain.memory_entities using (space_id, key)
              where is_active) as memory_count,
             array(
               select display_name
               from spelt
               join brain.entities using (space_id, key)
               where key <> ${entity.key}
               group by display_name
               order by min(created_at), display_name collate "C"
               limit ${MAX_OTHER_NAMES}) as other_names`;
    const connections = await connectionsIn(tx, entity, SHOWN_WITH_IT);
    const relations = await relationsIn(tx, entity, { limit: SHOWN_WITH_IT });
    return {
      name: entity.name,
      other_names: counts?.other_names ?? [],
      memory_count: counts?.memory_count ?? 0,
      relation_count: relations.total,
      network: connections.items,
      relations: relations.items,
    };
  });
}

/** What is mentioned together with an entity, the most often first. Throws NOT_FOUND. */
export function entityNetwork(
  caller: Caller,
  name: string,
  { limit = 50, min_count = 1 }: { limit?: number | undefined; min_count?: number | undefined } = {},
): Promise<EntityNetwork> {
  return caller.read(async (tx) => {
    const entity = await entityNamed(tx, name);
    return { name: entity.name, ...(await connectionsIn(tx, entity, limit, min_count)) };
  });
}

const MAX_EXAMPLES = 5;

async function connectionsIn(
  tx: Tx,
  { key }: Entity,
  limit: number,
  min_count = 1,
): Promise<{ items: Connection[]; total: number }> {
  const rows = await tx<(Connection & { total: number })[]>`
    with own as materialized (
      select distinct memory_id
      from (${spellings(tx, tx`${key}::text`)}) as spelt
      join brain.memory_entities using (space_id, key)
      where is_active
    ),
    -- Read once: to look each mention's entity up by its key took half of the time.
    merged as materialized (
      select space_id, key, merged_into from brain.entities where merged_into is not null
    ),
    beside as (
      select distinct memory_id, coalesce(merged_into, key) as key
      from own
      join brain.memory_entities using (memory_id)
      left join merged using (space_id, key)
      where coalesce(merged_into, key) <> ${key}
    ),
    counted as materialized (
      select key, count(*)::int as memory_count,
             (array_agg(memory_id order by memory_id desc))[1:${MAX_EXAMPLES}] as memory_ids
      from beside
      group by key
      having count(*) >= ${min_count}
    )
    select ${nameOf(tx, tx`strongest.key`)} as name, memory_count, memory_ids,
           (select count(*)::int from counted) as total
    from (
      select * from counted order by memory_count desc, key collate "C" limit ${limit}
    ) as strongest
    order by memory_count desc, key collate "C"`;
  return { items: rows.map(({ total: _, ...connection }) => connection), total: rows[0]?.total ?? 0 };
}

/** The active memories that mention an entity, newest first, by cursor. Throws NOT_FOUND, INVALID_INPUT. */
export async function entityMemories(
  caller: Caller,
  name: string,
  { limit = 20, cursor }: { limit?: number | undefined; cursor?: string | undefined },
): Promise<EntityMemories> {
  const entity = await caller.read((tx) => entityNamed(tx, name));
  const page = await listMemories(caller, { size: limit, ...(cursor && { cursor }) }, { ...ANY, entities: [name] });
  const { items, total, total_is, next_cursor } = page;
  return { name: entity.name, items, total, total_is, next_cursor };
}
