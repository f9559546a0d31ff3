import type { Tx } from "../db.ts";
import type { Context } from "./schema.ts";

/** How much each field of the context that fits lifts a score, and being new at most. */
const LIFT = 0.25;

/** What the context does to a score: the factor of each field that fits. */
export type Lifts = Record<string, number>;

/** The factors by which these memories fit the context, by id. A memory `half_life_days` old is lifted half as much as a new one. */
export async function liftsOf(tx: Tx, ids: readonly string[], context: Context): Promise<Map<string, Lifts>> {
  const { entity = null, artifact_ref = null, category: wanted = null, tag = null, half_life_days = null } = context;
  const cut = tag?.indexOf("=") ?? -1;
  const key = cut === -1 ? tag : (tag?.slice(0, cut) ?? null);
  const value = cut === -1 ? null : (tag?.slice(cut + 1) ?? null);
  const rows = await tx<{ id: string; lifts: Record<string, number> }[]>`
    select id, json_strip_nulls(json_build_object(
      'entity', case when exists (
        select from unnest(entities) as name where app.entity_key(name) = app.entity_key(${entity})) then 1 end,
      'artifact_ref', case when artifact_ref = ${artifact_ref} then 1 end,
      'category', case when category = ${wanted} then 1 end,
      'tag', case when jsonb_exists(tags, ${key}) and (${value}::text is null or tags ->> ${key}::text = ${value}) then 1 end,
      'half_life_days',
        power(0.5, greatest(extract(epoch from now() - created_at), 0) / 86400 / ${half_life_days}::float8))) as lifts
    from brain.memories
    where id = any (${ids as string[]}::uuid[])`;
  return new Map(
    rows.map(({ id, lifts }) => [
      id,
      Object.fromEntries(Object.entries(lifts).map(([field, share]) => [field, Number((1 + LIFT * share).toFixed(6))])),
    ]),
  );
}

/** By how much a context can lift at most: what scores are divided by, to stay within 1. */
export const mostLifted = (context: Context) =>
  (1 + LIFT) ** Object.values(context).filter((one) => one !== undefined).length;
