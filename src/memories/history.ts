import type { Caller } from "../db.ts";
import { notFound } from "../problem.ts";
import type { History, HistoryQuery } from "./schema.ts";

/**
 * What a memory was, newest first: each revision as it stood, who wrote it and when. Of a deleted one too, and only
 * what it said in spaces the caller sees. Throws NOT_FOUND.
 */
export function memoryHistory(caller: Caller, id: string, { page = 1, size = 20 }: HistoryQuery): Promise<History> {
  return caller.read(async (tx) => {
    const [there] = await tx`select from brain.memories where id = ${id}`;
    if (!there) throw notFound("memory");
    const revisions = tx`
      select revision, space_id, state, content, updated_at, updated_by,
             json_build_object(
               'category', category, 'artifact_type', artifact_type, 'artifact_ref', artifact_ref, 'entities', entities,
               'thread', thread, 'evidence', evidence, 'tags', tags, 'code_refs', code_refs, 'source', source,
               'metadata', metadata) as fields
      from brain.memories
      where id = ${id}
      union all
      select revision, space_id, state, content, updated_at, updated_by, fields
      from brain.memory_revisions
      where memory_id = ${id}`;
    const items = await tx<(Omit<History["items"][number], "category"> & { fields: object })[]>`
      select revision, state, access_entity, updated_at, updated_by, content, fields
      from (${revisions}) as revisions
      join brain.spaces on spaces.id = space_id
      order by revision desc
      offset ${(page - 1) * size}
      limit ${size}`;
    const [{ total } = { total: 0 }] = await tx<{ total: number }[]>`
      select count(*)::int as total from (${revisions}) as revisions`;
    return {
      items: items.map(({ fields, ...item }) => ({ ...item, ...fields })) as History["items"],
      total,
      total_is: "exact",
      page,
      size,
      pages: Math.ceil(total / size),
      next_cursor: null,
    };
  });
}
