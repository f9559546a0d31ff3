import type { Caller } from "../db.ts";
import { isShown } from "../entities/names.ts";
import type { GraphStats } from "./schema.ts";

/** How much there is in the graph the caller sees. */
export function graphStats(caller: Caller): Promise<GraphStats> {
  return caller.read(async (tx) => {
    const [stats] = await tx<GraphStats[]>`
      with mentioned as materialized (select distinct memory_id, key from brain.mentions where is_active),
      numbered as materialized (select key, row_number() over ()::int as place from (select distinct key from mentioned) as keys),
      placed as materialized (select memory_id, place from mentioned join numbered using (key))
      select (select count(*)::int from brain.memories where state = 'active') as memory_count,
             (select count(*)::int from numbered) as entity_count,
             (select count(*)::int from mentioned) as mention_count,
             (select count(distinct key)::int
              from brain.memories cross join jsonb_object_keys(tags) as key where state = 'active') as tag_count,
             (select count(*)::int from brain.relations where ${isShown(tx, tx`relations.memory_id`)}) as relation_count,
             (select count(*)::int from brain.events where ${isShown(tx, tx`events.memory_id`)}) as event_count,
             (select count(*)::int from (
                select distinct one.place, other.place
                from placed as one
                join placed as other on other.memory_id = one.memory_id and other.place > one.place
              ) as pairs) as co_mention_count`;
    if (!stats) throw new Error("a count gave no row");
    return stats;
  });
}
