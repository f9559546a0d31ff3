import type { Caller } from "../db.ts";
import { notFound } from "../problem.ts";
import { MAX_TOTAL, offsetOf, pageOf } from "../schema.ts";
import type { AccessLog } from "./schema.ts";

/** Who was shown a memory, newest first: an entry an answer, in the spaces the caller sees. Throws NOT_FOUND. */
export function accessLog(caller: Caller, id: string, query: { page?: number; size?: number }): Promise<AccessLog> {
  const { page, size, offset } = offsetOf(query);
  return caller.read(async (tx) => {
    const [there] = await tx`select from brain.memories where id = ${id} and state <> 'deleted'`;
    if (!there) throw notFound("memory");
    const found = tx`app.recalls_of(${id}, ${MAX_TOTAL + 1})`;
    // Each entry of the page is fenced off by an offset: joined, all that are about the memory were read, or in a small
    // org its whole log.
    const items = await tx<AccessLog["items"]>`
      select at, sub as user, app, kind
      from (
        select id, place from ${found} with ordinality as found (id, place) order by place offset ${offset} limit ${size}
      ) as page
      cross join lateral (
        select at, sub, app, kind from brain.memory_access_log as log where log.id = page.id offset 0
      ) as entry
      order by place`;
    const [row] = await tx<{ counted: number }[]>`select count(*)::int as counted from ${found} as found`;
    return pageOf([...items], row?.counted ?? 0, { page, size });
  });
}
