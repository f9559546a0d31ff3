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
    const found = tx`app.recalls_of(${id}, ${MAX_TOTAL + 1}) as found`;
    const items = await tx<AccessLog["items"]>`
      select at, sub as user, app, kind
      from ${found}
      join brain.memory_access_log using (id)
      order by at desc, id desc
      offset ${offset}
      limit ${size}`;
    const [row] = await tx<{ counted: number }[]>`select count(*)::int as counted from ${found}`;
    return pageOf([...items], row?.counted ?? 0, { page, size });
  });
}
