import { scopeOf } from "../auth/grants.ts";
import { type Caller, NotProvisioned, type Tx } from "../db.ts";
import { invalidInput, notFound, Problem } from "../problem.ts";
import { findIn } from "../search/service.ts";
import { columns, stored } from "./columns.ts";
import { cursorFrom, cursorOf } from "./cursor.ts";
import { columnsFrom } from "./input.ts";
import type { Deleted, ListQuery, Memory, MemoryChanges, MemoryPage, NewMemory } from "./schema.ts";

/** Totals are counted up to here; beyond, `total_is` says at_least. */
const MAX_TOTAL = 10_000;

/** Stores one memory. Throws INVALID_INPUT, FORBIDDEN_ACCESS_ENTITY, ACCESS_ENTITY_AMBIGUOUS, APP_PAUSED. */
export async function addMemory(caller: Caller, memory: NewMemory): Promise<Memory> {
  const [added] = await insert(caller, [columnsFrom(memory)]);
  if (!added) throw new Error("an insert gave no row");
  return added;
}

/** Stores all of them or none; answers in the same order. Throws what addMemory throws, naming the place. */
export async function addMemories(caller: Caller, memories: NewMemory[]): Promise<Memory[]> {
  return insert(
    caller,
    memories.map((memory, index) => columnsFrom(memory, `memories.${index}.`)),
  );
}

/** One memory, by id. Throws NOT_FOUND for what is deleted, absent or not the caller's to see: one and the same answer. */
export function getMemory(caller: Caller, id: string): Promise<Memory> {
  return caller.read(async (tx) => {
    const [memory] = await tx<Memory[]>`
      select ${columns(tx)}
      from brain.memories
      join brain.spaces on spaces.id = space_id
      where memories.id = ${id} and state <> 'deleted'`;
    if (!memory) throw notFound("memory");
    return memory;
  });
}

/** Changes what is given and leaves the rest; a new access_entity moves it. Throws NOT_FOUND and what addMemory throws. */
export async function updateMemory(caller: Caller, id: string, changes: MemoryChanges): Promise<Memory> {
  const { access_entity, ...changed } = columnsFrom(changes);
  const target = access_entity && spaceFor(caller, access_entity);
  return caller.write(async (tx) => {
    // First whether there is anything to move: a space must not be made for nothing.
    if (target && (await tx`select from brain.memories where id = ${id} and state <> 'deleted'`).length === 0)
      throw notFound("memory");
    const set = { ...changed, ...(target && { space_id: await spaceId(tx, target) }) };
    const [memory] = await tx<Memory[]>`
      with updated as (
        update brain.memories
        set ${tx(set as never)}
        where id = ${id} and state <> 'deleted'
        returning ${stored(tx)}
      )
      select ${columns(tx)}
      from updated as memories
      join brain.spaces on spaces.id = space_id`;
    if (!memory) throw notFound("memory");
    return memory;
  });
}

/** Deletes softly, by ids. What is absent, deleted or not the caller's to see is counted as skipped. */
export function deleteMemories(caller: Caller, memory_ids: string[]): Promise<Deleted> {
  const ids = [...new Set(memory_ids.map((id) => id.toLowerCase()))];
  return caller.write(async (tx) => {
    const gone = await deleteIn(tx, ids);
    return { deleted: gone.length, skipped: ids.length - gone.length };
  });
}

/** Deletes one, softly. Throws NOT_FOUND. */
export function deleteMemory(caller: Caller, id: string): Promise<void> {
  return caller.write(async (tx) => {
    if ((await deleteIn(tx, [id])).length === 0) throw notFound("memory");
  });
}

const deleteIn = (tx: Tx, ids: string[]) => tx`
  update brain.memories
  set state = 'deleted'
  where id = any (${ids}::uuid[]) and state <> 'deleted'
  returning id`;

/**
 * A page of what the caller sees, newest first; best first with a search_query. By `page` (with a total) or, stable
 * while rows are written, by `cursor`.
 */
export async function listMemories(caller: Caller, query: ListQuery): Promise<MemoryPage> {
  if (query.cursor && (query.page || query.search_query))
    throw invalidInput([{ at: "cursor", message: "goes without page and search_query" }]);
  const { page = 1, size = 20 } = query;
  if (page * size > MAX_TOTAL)
    throw invalidInput([{ at: "page", message: `reaches beyond ${MAX_TOTAL} rows; follow next_cursor instead` }]);
  if (query.search_query) return listFound(caller, query, query.search_query);
  return caller.read((tx) => listNewest(tx, query));
}

async function listNewest(tx: Tx, query: ListQuery): Promise<MemoryPage> {
  const { state = "active", category = null, access_entity = null, cursor, page = 1, size = 20 } = query;
  const before = cursor ? cursorFrom(cursor) : null;
  const offset = before ? 0 : (page - 1) * size;
  // A lateral page per visible space, so that the index gives each one's newest rows and the walk never leaves what
  // the caller sees; keys first, so that what is skipped is never fetched.
  const rows = await tx<Memory[]>`
    with page as (
      select newest.id, access_entity
      from brain.spaces
      cross join lateral (
        select memories.id, memories.created_at
        from brain.memories
        where space_id = spaces.id and state = ${state}
          and (${category}::text is null or category = ${category})
          ${before ? tx`and (memories.created_at, memories.id) < (${before.created_at}, ${before.id})` : tx``}
        order by created_at desc, id desc
        limit ${offset + size + 1}
      ) as newest
      where ${access_entity}::text is null or access_entity = ${access_entity}
      order by newest.created_at desc, newest.id desc
      offset ${offset}
      limit ${size + 1}
    )
    select ${columns(tx)}
    from page
    join brain.memories using (id)
    order by memories.created_at desc, memories.id desc`;
  // The last page says by itself how many there are; a page beyond it does not.
  const is_told = rows.length <= size && (rows.length > 0 || offset === 0);
  const total = before ? null : is_told ? offset + rows.length : await countUpTo(tx, query);
  return pageOf(rows, size, before ? null : page, total);
}

/** Rows a filter finds, counted to one beyond MAX_TOTAL. */
async function countUpTo(tx: Tx, query: ListQuery): Promise<number> {
  const { state = "active", category = null, access_entity = null } = query;
  const [row] = await tx<{ total: number }[]>`
    select count(*)::int as total
    from (
      select
      from brain.memories
      join brain.spaces on spaces.id = space_id
      where state = ${state}
        and (${category}::text is null or category = ${category})
        and (${access_entity}::text is null or access_entity = ${access_entity})
      limit ${MAX_TOTAL + 1}
    ) as counted`;
  return row?.total ?? 0;
}

function listFound(caller: Caller, query: ListQuery, search_query: string): Promise<MemoryPage> {
  const { page = 1, size = 20, category, access_entity, state } = query;
  const filter = { ...(category && { category }), ...(access_entity && { access_entity }), ...(state && { state }) };
  return caller.read(async (tx) => {
    const { found, total } = await findIn(tx, search_query, filter, {
      offset: (page - 1) * size,
      limit: size,
      count_to: MAX_TOTAL + 1,
    });
    const items = found.map(({ score: _, ...memory }) => memory);
    return pageOf(items, size, page, total);
  });
}

function pageOf(rows: Memory[], size: number, page: number | null, total: number | null): MemoryPage {
  const items = rows.slice(0, size);
  const last = items.at(-1);
  return {
    items,
    total: total === null ? null : Math.min(total, MAX_TOTAL),
    total_is: total === null ? null : total > MAX_TOTAL ? "at_least" : "exact",
    page,
    size,
    pages: total === null ? null : Math.ceil(Math.min(total, MAX_TOTAL) / size),
    next_cursor: rows.length > size && last ? cursorOf(last) : null,
  };
}

type Columns = ReturnType<typeof columnsFrom>;

/** One statement however many rows; json_to_recordset keeps it one prepared statement too, and metadata as it came. */
function insert(caller: Caller, memories: Columns[]): Promise<Memory[]> {
  const rows = memories.map((memory) => ({
    ...memory,
    id: Bun.randomUUIDv7(),
    access_entity: spaceFor(caller, memory.access_entity),
  }));
  return caller.write(async (tx) => {
    const added = await tx<Memory[]>`
      with added as (
        insert into brain.memories (id, space_id, app_id, app, content, category, artifact_type, artifact_ref,
                                    entities, thread, evidence, tags, code_refs, source, metadata)
        select new.id, spaces.id, apps.id, apps.name, content, coalesce(category, 'note'), artifact_type, artifact_ref,
               coalesce(entities, '{}'), thread, coalesce(evidence, '{}'), coalesce(tags, '{}'),
               coalesce(code_refs, '[]'), coalesce(source, 'user'), coalesce(metadata, '{}')
        from json_to_recordset(${JSON.stringify(rows)}::text::json) as new (
               id uuid, access_entity text, content text, category text, artifact_type text, artifact_ref text,
               entities text[], thread text, evidence text[], tags jsonb, code_refs jsonb, source text, metadata json)
        join brain.spaces using (access_entity)
        join brain.apps on apps.name = ${caller.app} and is_active
        returning ${stored(tx)}
      )
      select ${columns(tx)}
      from added as memories
      join brain.spaces on spaces.id = space_id
      order by memories.id`;
    if (added.length === rows.length) return added;
    // A space or the app is new, or the app is paused: the rare case pays for finding out which.
    const [app] = await tx`select from brain.apps where name = ${caller.app} and not is_active`;
    if (app) throw new Problem("APP_PAUSED", "Its owner has paused this app.");
    throw new NotProvisioned(rows.map((row) => row.access_entity));
  });
}

/** Own space by default; `auto` is the one shared space granted. */
function spaceFor({ sub, grants }: Caller, wanted = `user:${sub}`): string {
  if (wanted !== "auto") return wanted;
  const options = grants.filter((grant) => scopeOf(grant) !== "user");
  const [only] = options;
  if (only && options.length === 1) return only;
  throw new Problem("ACCESS_ENTITY_AMBIGUOUS", "The token grants not exactly one shared space.", {
    options,
    hint: "Name one of the options as access_entity, or leave it out to write to your own space.",
  });
}

async function spaceId(tx: Tx, access_entity: string): Promise<number> {
  const [space] = await tx<{ id: number }[]>`select id from brain.spaces where access_entity = ${access_entity}`;
  if (!space) throw new NotProvisioned([access_entity]);
  return space.id;
}
