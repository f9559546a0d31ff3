import type { Tx } from "../db.ts";
import type { Change } from "../entities/merge.ts";
import { applyIn } from "../entities/merge_rows.ts";
import type { ArchivedAlias } from "./archive_schema.ts";
import { entityIn, nameEntities } from "./said.ts";

/** That a name counts for another one in a space. */
export type Alias = ArchivedAlias & { readonly access_entity: string };

/**
 * Merges names as an archive says they were, with what undoes it. A name that counts for something already, or that
 * others count for, stays as it is: what is decided here is not undone by an archive. Gives how many were merged.
 */
export async function addAliases(tx: Tx, aliases: readonly Alias[]): Promise<number> {
  if (aliases.length === 0) return 0;
  await nameEntities(
    tx,
    aliases.flatMap(({ access_entity, name, of }) => [name, of].map((one) => ({ access_entity, name: one }))),
  );
  const changes = await tx<Change[]>`
    select distinct on (entities.space_id, entities.key) entities.space_id, access_entity, entities.key,
           entities.merged_into as was, canonical.key as into, canonical.display_name as into_name,
           (dense_rank() over (order by entities.space_id, canonical.key) - 1)::int as group, 0 as variant
    from json_to_recordset(${JSON.stringify(aliases)}::text::json) as alias (access_entity text, name text, "of" text)
    join brain.spaces using (access_entity)
    cross join lateral (${entityIn(tx, tx`btrim(name)`)}) as entities
    cross join lateral (${entityIn(tx, tx`btrim("of")`)}) as canonical
    where entities.merged_into is null and canonical.merged_into is null and canonical.key <> entities.key
      and not exists (
        select from brain.entities as variant
        where variant.space_id = spaces.id and variant.merged_into = entities.key)
      -- Of this archive neither: one of two names that each count for the other would be nobody.
      and not exists (
        select from json_to_recordset(${JSON.stringify(aliases)}::text::json)
          as other (access_entity text, name text, "of" text)
        where other.access_entity = alias.access_entity and app.entity_key(btrim(other.of)) = entities.key)
    order by entities.space_id, entities.key`;
  await applyIn(tx, changes);
  return changes.length;
}
