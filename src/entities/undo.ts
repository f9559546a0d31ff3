import type { Caller } from "../db.ts";
import { notFound, Problem } from "../problem.ts";
import { nameOf } from "./names.ts";
import type { Undone } from "./normalization_schema.ts";

/**
 * Takes a merge back in every space the caller sees of it: each name stands for what it stood for before. Throws
 * NOT_FOUND, CONFLICT where it has been undone or a later merge builds on it, APP_PAUSED.
 */
export function undoMerge(caller: Caller, merge_id: string): Promise<Undone> {
  return caller.write(async (tx) => {
    const parts = await tx<{ is_undone: boolean; is_last: boolean }[]>`
      select undone_at is not null as is_undone
      from brain.entity_merges
      where id = ${merge_id}
      order by space_id
      for update`;
    if (parts.length === 0) throw notFound("merge");
    if (parts.every(({ is_undone }) => is_undone)) throw new Problem("CONFLICT", "That merge has been undone already.");

    const undone = await tx<{ name: string; wanted: number; restored: number }[]>`
      with part as materialized (
        select space_id, entity_merges.key as into, variant.key, variant.was
        from brain.entity_merges
        cross join lateral jsonb_to_recordset(variants) as variant (key text, was text)
        where id = ${merge_id} and undone_at is null
      ),
      restored as (
        update brain.entities
        set merged_into = part.was
        from part
        where entities.space_id = part.space_id and entities.key = part.key and entities.merged_into = part.into
        returning entities.space_id, entities.key, display_name
      )
      select display_name as name, (select count(*)::int from part) as wanted, count(*) over ()::int as restored
      from restored
      order by display_name collate "C", space_id`;
    if (undone.length === 0 || undone.some(({ wanted, restored }) => wanted !== restored))
      throw new Problem("CONFLICT", "A later merge builds on this one.", { hint: "Undo the later one first." });

    const [done] = await tx<{ canonical: string; access_entities: string[] }[]>`
      with done as (
        update brain.entity_merges
        set undone_at = now()
        where id = ${merge_id} and undone_at is null
        returning space_id, key
      )
      select ${nameOf(tx, tx`min(done.key)`)} as canonical, array_agg(access_entity order by access_entity) as access_entities
      from done
      join brain.spaces on spaces.id = space_id`;
    if (!done) throw new Error("a merge that was undone is not there");
    return { merge_id, variants: [...new Set(undone.map(({ name }) => name))], ...done };
  });
}
