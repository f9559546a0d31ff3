import type { Caller } from "../db.ts";
import { coMentions } from "../entities/comentions.ts";
import { isShown } from "../entities/names.ts";
import type { GraphStats } from "./schema.ts";
import { activeCount, activeMentions, activeTags } from "./visible.ts";

/** Pairs of entities are counted up to here. */
const MAX_PAIRS = 1_000_000;

/** How much there is in the graph the caller sees. */
export async function graphStats(caller: Caller): Promise<GraphStats> {
  const counts = await caller.read(async (tx) => {
    const [counts] = await tx<Omit<GraphStats, "co_mention_count" | "is_cut">[]>`
      with mentioned as materialized (select key from ${activeMentions(tx)} as mentions)
      select ${activeCount(tx)} as memory_count,
             (select count(distinct key)::int from mentioned) as entity_count,
             (select count(*)::int from mentioned) as mention_count,
             (select count(distinct key)::int from ${activeTags(tx)} as tagged) as tag_count,
             (select count(*)::int from brain.relations where ${isShown(tx, tx`relations.memory_id`)}) as relation_count,
             (select count(*)::int from brain.events where ${isShown(tx, tx`events.memory_id`)}) as event_count`;
    if (!counts) throw new Error("a count gave no row");
    return counts;
  });
  const { pairs, is_cut } = await coMentions(caller, { max_pairs: MAX_PAIRS });
  return { ...counts, co_mention_count: pairs.length, is_cut };
}
