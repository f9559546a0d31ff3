import type { Caller, Tx } from "../db.ts";
import { columns } from "../memories/columns.ts";
import { ANY } from "../memories/filter.ts";
import { listMemories } from "../memories/list.ts";
import { type Memory, type MemoryPage, READABLE_STATES } from "../memories/schema.ts";
import { invalidInput, notFound } from "../problem.ts";
import { offsetOf, pageOf } from "../schema.ts";
import type { Accessed, App, AppPage, AppPagesQuery, AppsQuery } from "./schema.ts";

/** Answers of an app that are looked at, the newest: counting what years of them have shown would take seconds. */
const MAX_ANSWERS = 10_000;

/** The last answers of each of `apps` that had memories in them. */
const answersOf = (tx: Tx) => tx`
  select at, memory_ids
  from brain.memory_access_log as log
  where log.user_id = apps.owner_id and log.app = apps.name
  order by at desc
  limit ${MAX_ANSWERS}`;

/** The caller's apps, as every answer shows them. */
const described = (tx: Tx) => tx`
  select apps.id, name, is_active, apps.created_at, total_memories_created, total_memories_accessed, first_accessed,
         last_accessed
  from brain.apps
  cross join lateral (
    select coalesce(sum(memories), 0)::int as total_memories_created
    from brain.space_sizes
    where app_id = apps.id
  ) as created
  cross join lateral (
    select count(distinct memories.id)::int as total_memories_accessed, min(at) as first_accessed,
           max(at) as last_accessed
    from (${answersOf(tx)}) as answers
    cross join unnest(memory_ids) as recalled (id)
    left join brain.memories on memories.id = recalled.id and state <> 'deleted'
  ) as accessed`;

/** The apps through which the caller has come, by name. Nobody else's: a memory tells the name of the app it came through. */
export function listApps(caller: Caller, query: AppsQuery): Promise<AppPage> {
  const { name = null, sort_by = "name", sort_direction = "asc" } = query;
  const { page, size, offset } = offsetOf(query);
  const is_active = query.is_active === undefined ? null : query.is_active === "true";
  return caller.read(async (tx) => {
    const column = {
      name: tx`name`,
      memories: tx`total_memories_created`,
      memories_accessed: tx`total_memories_accessed`,
    }[sort_by];
    const fitting = tx`
      (${name}::text is null or position(lower(${name}) in name) > 0)
      and (${is_active}::boolean is null or is_active = ${is_active})`;
    const items = await tx<App[]>`
      select * from (${described(tx)} where ${fitting}) as apps
      order by ${column} ${sort_direction === "asc" ? tx`asc` : tx`desc`}, name
      offset ${offset}
      limit ${size}`;
    const [row] = await tx<{ counted: number }[]>`select count(*)::int as counted from brain.apps where ${fitting}`;
    return pageOf([...items], row?.counted ?? 0, { page, size });
  });
}

/** One of the caller's own apps. Throws NOT_FOUND for any other. */
export const getApp = (caller: Caller, id: string): Promise<App> => caller.read((tx) => appIn(tx, id));

async function appIn(tx: Tx, id: string): Promise<App> {
  const [app] = await tx<App[]>`${described(tx)} where apps.id = ${id}`;
  if (!app) throw notFound("app");
  return app;
}

/**
 * Pauses one of the caller's own apps, or lets it go on. What comes through a paused app writes nothing (sql/paused.sql)
 * but this. Throws NOT_FOUND.
 */
export const setApp = (caller: Caller, id: string, is_active: boolean): Promise<App> =>
  caller.write(async (tx) => {
    await tx`update brain.apps set is_active = ${is_active} where id = ${id} returning id`;
    return appIn(tx, id);
  });

/** Whether it is to be active, said by the query or by the body. Throws INVALID_INPUT where by both or neither. */
export function activeFrom(query: "true" | "false" | undefined, body: { is_active: boolean } | null): boolean {
  if ((query === undefined) === (body === null))
    throw invalidInput([{ at: "is_active", message: "must be given, in the query or in the body" }]);
  return body ? body.is_active : query === "true";
}

/** What came through one of the caller's own apps, newest first, in any state but deleted. Throws NOT_FOUND. */
export async function listAppMemories(caller: Caller, id: string, query: AppPagesQuery): Promise<MemoryPage> {
  await caller.read(async (tx) => {
    const [app] = await tx`select from brain.apps where id = ${id}`;
    if (!app) throw notFound("app");
  });
  return listMemories(caller, query, { ...ANY, app_ids: [id], states: [...READABLE_STATES] });
}

/** What one of the caller's own apps was shown, most often first. Throws NOT_FOUND. */
export async function listAccessed(caller: Caller, id: string, query: AppPagesQuery): Promise<Accessed> {
  const { page, size, offset } = offsetOf(query);
  const answer = await caller.read(async (tx) => {
    const [app] = await tx`select from brain.apps where id = ${id}`;
    if (!app) throw notFound("app");
    const recalled = tx`
      select recalled.id, count(*)::int as access_count, max(at) as last_accessed
      from brain.apps
      cross join lateral (${answersOf(tx)}) as answers
      cross join unnest(memory_ids) as recalled (id)
      where apps.id = ${id}
      group by recalled.id`;
    const rows = await tx<(Memory & { access_count: number; last_accessed: string })[]>`
      with recalled as materialized (${recalled})
      select ${columns(tx)}, access_count, last_accessed
      from recalled
      join brain.memories using (id)
      join brain.spaces on spaces.id = space_id
      where state <> 'deleted'
      order by access_count desc, memories.id desc
      offset ${offset}
      limit ${size}`;
    const [row] = await tx<{ counted: number }[]>`
      select count(*)::int as counted from (${recalled}) as recalled join brain.memories using (id) where state <> 'deleted'`;
    const items = rows.map(({ access_count, last_accessed, ...memory }) => ({ memory, access_count, last_accessed }));
    return pageOf(items, row?.counted ?? 0, { page, size });
  });
  caller.recalled(
    "list",
    answer.items.map(({ memory }) => memory),
  );
  return answer;
}
