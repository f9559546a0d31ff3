import type { Caller, Tx } from "../db.ts";
import { invalidInput } from "../problem.ts";
import { MAX_TOTAL } from "../schema.ts";
import { findIn } from "../search/service.ts";
import { askedAlone, asksSizesOnly, candidatesOf, MOST_CANDIDATES, sizeOf } from "./candidates.ts";
import { columns } from "./columns.ts";
import { cursorFrom, cursorOf, type Place } from "./cursor.ts";
import { ANY, type Filter, matching, within } from "./filter.ts";
import type { ListQuery, Memory, MemoryPage } from "./schema.ts";

/** Which page, and in which order. */
type Paging = Pick<ListQuery, "page" | "size" | "cursor" | "search_query" | "sort_column" | "sort_direction">;

/**
 * A page of what the caller sees: newest first, by another column, or best first with a search_query. By `page` (with a
 * total) or, newest first and stable while rows are written, by `cursor`. Throws INVALID_INPUT.
 */
export async function listMemories(caller: Caller, query: Paging, filter: Filter = ANY): Promise<MemoryPage> {
  const { page = 1, size = 20, cursor, search_query, sort_column, sort_direction } = query;
  const is_newest_first = (sort_column ?? "created_at") === "created_at" && sort_direction !== "asc";
  if (cursor && (query.page || search_query || !is_newest_first))
    throw invalidInput([{ at: "cursor", message: "goes with newest first only, without page and search_query" }]);
  if (search_query && (sort_column || sort_direction))
    throw invalidInput([{ at: sort_column ? "sort_column" : "sort_direction", message: "goes without search_query" }]);
  if (page * size > MAX_TOTAL)
    throw invalidInput([{ at: "page", message: `reaches beyond ${MAX_TOTAL} rows; follow next_cursor instead` }]);

  // Else there are candidates to be looked for, or rows to be counted.
  const is_known = asksSizesOnly(filter);
  const answer = await caller.read(
    async (tx) => {
      if (search_query) {
        const stretch = { offset: (page - 1) * size, limit: size, count_to: MAX_TOTAL + 1 };
        const { found, total } = await findIn(tx, search_query, filter, stretch);
        return pageOf(found, size, page, total);
      }
      const offset = cursor ? 0 : (page - 1) * size;
      const before = cursor ? cursorFrom(cursor) : null;
      const few = await amongFew(tx, filter, { offset, size, before, query });
      const [rows, size_known] = await Promise.all([
        few?.rows ??
          (is_newest_first ? newest(tx, filter, offset, size, before) : sorted(tx, filter, offset, size, query)),
        cursor ? null : sizeOf(tx, filter),
      ]);
      if (cursor) return { ...pageOf(rows, size, null, null), next_cursor: nextOf(rows, size) };
      // The last page says by itself how many there are; a page beyond it does not.
      const is_told = rows.length <= size && (rows.length > 0 || offset === 0);
      const total = few?.total ?? size_known ?? (is_told ? offset + rows.length : await countUpTo(tx, filter));
      return { ...pageOf(rows, size, page, total), next_cursor: is_newest_first ? nextOf(rows, size) : null };
    },
    search_query ? {} : { plans: "once", ...(is_known && { statements: cursor ? 1 : 2 }) },
  );
  caller.recalled(search_query ? "search" : "list", answer.items);
  return answer;
}

interface Stretch {
  offset: number;
  size: number;
  /** Only what comes after this place, newest first. */
  before: Place | null;
  query: Paging;
}

/**
 * A page, and how many there are, where few memories can fit the filter: all of these are looked at, each by its key,
 * whatever the planner thinks of how many there are. Else null.
 */
async function amongFew(tx: Tx, filter: Filter, { offset, size, before, query }: Stretch) {
  const few = candidatesOf(tx, filter);
  if (!few) return null;
  const { column, direction } = orderOf(tx, query);
  const rows = await tx<(Memory & { candidates: number; total: number })[]>`
    with few as materialized (
      select id from (${few.source}) as found limit ${MOST_CANDIDATES + 1}
    ),
    counted as materialized (select count(*)::int as candidates from few),
    fitting as materialized (
      select candidate.id, memory.place
      from (select distinct id from few where (select candidates from counted) <= ${MOST_CANDIDATES}) as candidate
      cross join lateral (
        select space_id, ${column} as place
        from brain.memories
        where memories.id = candidate.id and ${matching(tx, few.left)}
        limit 1
      ) as memory
      join brain.spaces on spaces.id = memory.space_id
      where ${within(tx, filter)}
    ),
    page as (
      select id, place
      from fitting
      where ${before ? tx`(place, id) < (${before.created_at}, ${before.id})` : tx`true`}
      order by place ${direction}, id ${direction}
      offset ${offset}
      limit ${size + 1}
    )
    select candidates, (select count(*)::int from fitting) as total, ${columns(tx)}
    from counted -- a row of it even where the page has none
    left join page on true
    left join lateral (select * from brain.memories where memories.id = page.id limit 1) as memories on true
    left join brain.spaces on spaces.id = space_id
    order by place ${direction}, memories.id ${direction}`;
  const [{ candidates, total } = { candidates: 0, total: 0 }] = rows;
  if (candidates > MOST_CANDIDATES) return null;
  const there = rows.filter(({ id }) => id !== null);
  return { rows: there.map(({ candidates: _, total: __, ...memory }) => memory), total };
}

/** One row more than the page, to know whether there is a next one. */
function newest(tx: Tx, filter: Filter, offset: number, size: number, before: Place | null): Promise<Memory[]> {
  // A lateral page per visible space, so that the index gives each one's newest rows and the walk never leaves what
  // the caller sees; keys first, so that what is skipped is never fetched.
  return tx<Memory[]>`
    with page as (
      select newest.id, access_entity
      from brain.spaces
      cross join lateral (
        select memories.id, memories.created_at
        from brain.memories
        where space_id = spaces.id and ${matching(tx, filter)}
          ${before ? tx`and (memories.created_at, memories.id) < (${before.created_at}, ${before.id})` : tx``}
        order by created_at desc, id desc
        limit ${offset + size + 1}
      ) as newest
      where ${within(tx, filter)}
      order by newest.created_at desc, newest.id desc
      offset ${offset}
      limit ${size + 1}
    )
    select ${columns(tx)}
    from page
    -- Each by its key: of a page whose size is not known yet the planner thought so much that it read all of the org.
    cross join lateral (select * from brain.memories where memories.id = page.id limit 1) as memories
    order by memories.created_at desc, memories.id desc`;
}

/**
 * By another column: every row that fits is looked at, so it is for pages and not for walking. Keys first, so that only
 * the page's rows are carried whole.
 */
function sorted(tx: Tx, filter: Filter, offset: number, size: number, query: Paging): Promise<Memory[]> {
  const { column, direction } = orderOf(tx, query);
  return tx<Memory[]>`
    with page as (
      select mine.id, place
      from brain.spaces
      cross join lateral (
        -- Fenced off by its offset: asked for in one go the planner may walk all of the org.
        select memories.id, ${column} as place
        from brain.memories
        where space_id = spaces.id and ${matching(tx, filter)}
        offset 0
      ) as mine
      where ${within(tx, filter)}
      order by place ${direction}, mine.id ${direction}
      offset ${offset}
      limit ${size + 1}
    )
    select ${columns(tx)}
    from page
    cross join lateral (select * from brain.memories where memories.id = page.id limit 1) as memories
    join brain.spaces on spaces.id = space_id
    order by place ${direction}, memories.id ${direction}`;
}

function orderOf(tx: Tx, { sort_column = "created_at", sort_direction }: Paging) {
  const column = {
    created_at: tx`memories.created_at`,
    updated_at: tx`updated_at`,
    content: tx`content`,
    app_name: tx`app`,
    category: tx`category`,
  }[sort_column];
  const is_ascending = (sort_direction ?? (sort_column.endsWith("_at") ? "desc" : "asc")) === "asc";
  return { column, direction: is_ascending ? tx`asc` : tx`desc` };
}

/** Rows a filter finds, counted to one beyond MAX_TOTAL. */
async function countUpTo(tx: Tx, filter: Filter): Promise<number> {
  const fitting =
    askedAlone(tx, filter) ??
    tx`
      select
      from brain.memories
      join brain.spaces on spaces.id = space_id
      where ${matching(tx, filter)} and ${within(tx, filter)}`;
  const [row] = await tx<{ total: number }[]>`
    select count(*)::int as total from (${fitting} limit ${MAX_TOTAL + 1}) as counted`;
  return row?.total ?? 0;
}

function pageOf(rows: Memory[], size: number, page: number | null, total: number | null): MemoryPage {
  return {
    items: rows.slice(0, size),
    total: total === null ? null : Math.min(total, MAX_TOTAL),
    total_is: total === null ? null : total > MAX_TOTAL ? "at_least" : "exact",
    page,
    size,
    pages: total === null ? null : Math.ceil(Math.min(total, MAX_TOTAL) / size),
    next_cursor: null,
  };
}

function nextOf(rows: Memory[], size: number): string | null {
  const last = rows[size - 1];
  return rows.length > size && last ? cursorOf(last) : null;
}
