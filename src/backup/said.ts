import type postgres from "postgres";
import type { Tx } from "../db.ts";
import { spaceNotGranted } from "../problem.ts";
import { type Alias, addAliases } from "./aliases.ts";
import type { Applying } from "./apply.ts";
import type { ArchivedEvent, ArchivedRelation } from "./archive_schema.ts";
import { importedId } from "./ids.ts";
import { reasonOf, type Said } from "./record.ts";

/** Statements are kept to so many rows. */
const BATCH = 1000;

/** What a memory, or none, says of the entities of a space. */
interface Saying {
  readonly line: number;
  readonly old: string | null;
  readonly access_entity: string;
  readonly memory_id: string | null;
  readonly relations: readonly ArchivedRelation[];
  readonly events: readonly ArchivedEvent[];
}

/** Adds what an archive says of spaces by no memory. */
export async function applySaid(tx: Tx, said: AsyncIterable<Said>, applying: Applying): Promise<void> {
  let batch: Saying[] = [];
  let aliases: Alias[] = [];
  const flush = async () => {
    const [sayings, names] = [batch, aliases];
    [batch, aliases] = [[], []];
    await addRelations(tx, sayings, applying);
    await addEvents(tx, sayings, applying);
    applying.tally.aliases += await addAliases(tx, names);
  };
  for await (const { line, access_entity, relation, event, alias } of said) {
    if (!applying.granted.has(access_entity)) {
      applying.tally.reject({ ...reasonOf(line, null, spaceNotGranted()), at: "access_entity" });
      continue;
    }
    if (alias) aliases.push({ access_entity, name: alias.name, of: alias.of });
    const [relations, events] = [relation ? [relation] : [], event ? [event] : []];
    batch.push({ line, old: null, access_entity, memory_id: null, relations, events });
    if (batch.length >= BATCH) await flush();
  }
  await flush();
}

/** Adds relations that are not there yet. Those of names that are none, and of a deleted memory, are left out. */
export async function addRelations(tx: Tx, sayings: readonly Saying[], { caller, tally }: Applying): Promise<void> {
  const all = sayings.flatMap((saying) => saying.relations.map((relation) => ({ ...placeOf(saying), ...relation })));
  for (let from = 0; from < all.length; from += BATCH) {
    const rows = all.slice(from, from + BATCH).map((row, place) => ({
      place,
      id: Bun.randomUUIDv7(),
      ...only(row, ["access_entity", "memory_id", "from", "to", "type"]),
    }));
    const asked = tx`
      json_to_recordset(${JSON.stringify(rows)}::text::json) as new (
        place int, id uuid, access_entity text, memory_id uuid, "from" text, "to" text, type text)
      join brain.spaces using (access_entity)`;
    await nameEntities(
      tx,
      rows.flatMap(({ access_entity, from, to }) => [from, to].map((name) => ({ access_entity, name }))),
    );
    const known = await tx<{ place: number; is_added: boolean }[]>`
      with sayable as (
        select place, new.id, spaces.id as space_id, from_entity.key as from_key, to_entity.key as to_key, type, memory_id
        from ${asked}
        cross join lateral (${entityIn(tx, tx`btrim("from")`)}) as from_entity
        cross join lateral (${entityIn(tx, tx`btrim("to")`)}) as to_entity
        where memory_id is null or exists (
          select from brain.memories where memories.id = memory_id and memories.space_id = spaces.id and state <> 'deleted')
      ),
      added as (
        insert into brain.relations (id, space_id, from_key, to_key, type, memory_id, app)
        select id, space_id, from_key, to_key, type, memory_id, ${caller.app} from sayable order by place
        on conflict do nothing
        returning id
      )
      select place, added.id is not null as is_added from sayable left join added using (id)`;
    tally.relations += known.filter(({ is_added }) => is_added).length;
    leaveOut(all.slice(from, from + BATCH), known, "relations", tally);
  }
}

/** Adds events that are not there yet, likewise. */
export async function addEvents(tx: Tx, sayings: readonly Saying[], { caller, tally }: Applying): Promise<void> {
  const all = sayings.flatMap((saying) => saying.events.map((event) => ({ ...placeOf(saying), ...event })));
  for (let from = 0; from < all.length; from += BATCH) {
    const rows = all.slice(from, from + BATCH).map((row, place) => ({
      place,
      old_id: row.id,
      ...only(row, ["access_entity", "memory_id", "name", "type", "start_date", "end_date", "description", "entities"]),
      id: importedId(caller, row.id),
    }));
    const names = rows.flatMap(({ access_entity, entities }) => entities.map((name) => ({ access_entity, name })));
    await nameEntities(tx, names);
    const known = await tx<{ place: number; id: string; is_added: boolean }[]>`
      with sayable as (
        select distinct on (new.id) place, new.id, old_id, spaces.id as space_id, name, type, start_date, end_date,
               description, memory_id
        from json_to_recordset(${JSON.stringify(rows)}::text::json) as new (
               place int, id uuid, old_id uuid, access_entity text, memory_id uuid, name text, type text,
               start_date text, end_date text, description text)
        join brain.spaces using (access_entity)
        where app.is_date(start_date) and (end_date is null or app.is_date(end_date)) and (memory_id is null or exists (
          select from brain.memories where memories.id = memory_id and memories.space_id = spaces.id and state <> 'deleted'))
        order by new.id, place
      ),
      added as (
        insert into brain.events (id, space_id, name, type, start_date, end_date, description, memory_id, app)
        select id, space_id, name, type, start_date, end_date, description, memory_id, ${caller.app}
        from sayable
        where not exists (select from brain.events where events.id = old_id)
        order by place
        on conflict do nothing
        returning id
      )
      select place, id, added.id is not null as is_added from sayable left join added using (id)`;
    const added = new Set(known.filter(({ is_added }) => is_added).map(({ id }) => id));
    tally.events += added.size;
    leaveOut(all.slice(from, from + BATCH), known, "events", tally);
    const parts = rows.flatMap(({ id, access_entity, entities }) =>
      added.has(id) ? entities.map((name) => ({ id, access_entity, name })) : [],
    );
    if (parts.length > 0)
      await tx`
        insert into brain.event_entities (space_id, event_id, key)
        select distinct spaces.id, new.id, entities.key
        from json_to_recordset(${JSON.stringify(parts)}::text::json) as new (id uuid, access_entity text, name text)
        join brain.spaces using (access_entity)
        cross join lateral (${entityIn(tx, tx`btrim(name)`)}) as entities
        on conflict do nothing`;
  }
}

/** Makes the entities of these names where there are none yet; a name without a letter or digit makes none. */
export async function nameEntities(tx: Tx, names: readonly { access_entity: string; name: string }[]) {
  if (names.length === 0) return;
  // In one order, or two writers with the same new names would wait for each other.
  await tx`
    insert into brain.entities (space_id, key, display_name)
    select distinct on (spaces.id, app.entity_key(btrim(name))) spaces.id, app.entity_key(btrim(name)), btrim(name)
    from json_to_recordset(${JSON.stringify(names)}::text::json) as new (access_entity text, name text)
    join brain.spaces using (access_entity)
    where app.entity_key(btrim(name)) <> '' and octet_length(app.entity_key(btrim(name))) <= 1024
    order by spaces.id, app.entity_key(btrim(name))
    on conflict do nothing`;
}

/**
 * The entity of a name in `spaces.id`, as a look-up: in a join the key, which a function makes of a row, is kept out of
 * the index by the policy, and all names of the space are read.
 */
export const entityIn = (tx: Tx, name: postgres.Fragment) => tx`
  select * from brain.entities as named
  where named.space_id = spaces.id and named.key = app.entity_key(${name})
  limit 1`;

const placeOf = ({ line, old, access_entity, memory_id }: Saying) => ({ line, old, access_entity, memory_id });

const only = <T extends object, K extends keyof T>(row: T, names: readonly K[]) =>
  Object.fromEntries(names.map((name) => [name, row[name]])) as Pick<T, K>;

function leaveOut(
  asked: readonly { line: number; old: string | null }[],
  known: readonly { place: number }[],
  at: "relations" | "events",
  tally: Applying["tally"],
) {
  const places = new Set(known.map(({ place }) => place));
  for (const [place, { line, old }] of asked.entries())
    if (!places.has(place))
      tally.leaveOut({ line, id: old, code: "INVALID_INPUT", message: "names nothing, or its memory is deleted", at });
}
