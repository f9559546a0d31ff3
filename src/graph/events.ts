import type { Caller, Tx } from "../db.ts";
import { isShown } from "../entities/names.ts";
import { placeIn } from "../entities/place.ts";
import { once } from "../memories/idempotency.ts";
import { refuseRevision, type WriteOptions } from "../memories/preconditions.ts";
import { type FieldError, invalidInput, notFound, Problem } from "../problem.ts";
import type { Event, NewEvent } from "./event_schema.ts";
import { columns } from "./timeline.ts";

/**
 * Stores an event, in the space of the memory that says so or else in the one asked for. Throws INVALID_INPUT, NOT_FOUND
 * for the memory, FORBIDDEN_ACCESS_ENTITY, ACCESS_ENTITY_AMBIGUOUS, APP_PAUSED, CONFLICT for a key used otherwise.
 */
export function addEvent(
  caller: Caller,
  event: NewEvent,
  { idempotency_key, if_revision }: WriteOptions = {},
): Promise<Event> {
  refuseRevision(if_revision);
  return caller.write((tx) =>
    once(tx, { idempotency_key, asked: ["addEvent", event] }, () => insertIn(tx, caller, event), {
      result: ({ id }) => id,
      replay: (id) => eventIn(tx, id),
    }),
  );
}

async function insertIn(tx: Tx, caller: Caller, event: NewEvent): Promise<Event> {
  const { name, event_type, start_date, end_date = null, description = null, memory_id = null } = event;
  const space_id = await placeIn(tx, caller, event);
  await expectFits(tx, event);
  const id = Bun.randomUUIDv7();
  const added = await tx`
    insert into brain.events (id, space_id, name, type, start_date, end_date, description, memory_id, app)
    select ${id}, ${space_id}, ${name}, ${event_type}, ${start_date}, ${end_date}, ${description}, ${memory_id}, ${caller.app}
    where ${memory_id}::uuid is null or exists (
      select from brain.memories where memories.id = ${memory_id} and state = 'active')
    returning id`;
  if (added.length === 0) throw notFound("memory");
  await tx`
    with named as (
      select distinct on (key) key, name
      from (
        select app.entity_key(btrim(name)) as key, btrim(name) as name, place
        from unnest(${event.entities ?? []}::text[]) with ordinality as given (name, place)
      ) as spelt
      order by key, place
    ),
    made as (
      insert into brain.entities (space_id, key, display_name)
      select ${space_id}, key, name from named order by key -- in one order, or two writers would wait for each other
      on conflict do nothing
    )
    insert into brain.event_entities (space_id, event_id, key) select ${space_id}, ${id}, key from named`;
  return eventIn(tx, id);
}

/** What no schema says: days that exist, an end that is not before the beginning, names that are names. */
async function expectFits(tx: Tx, { start_date, end_date, entities = [] }: NewEvent) {
  const [fits] = await tx<{ start_date: boolean; end_date: boolean; nameless: number[] }[]>`
    select app.is_date(${start_date}) as start_date, ${end_date ?? null}::text is null or app.is_date(${end_date ?? null}) as end_date,
           array(
             select place::int - 1
             from unnest(${entities}::text[]) with ordinality as given (name, place)
             where octet_length(app.entity_key(btrim(name))) not between 1 and 1024
             order by place
           ) as nameless`;
  const errors: FieldError[] = [];
  if (!fits?.start_date) errors.push({ at: "start_date", message: "must be a year, month or day that exists" });
  if (!fits?.end_date) errors.push({ at: "end_date", message: "must be a year, month or day that exists" });
  // As far as both are known: what begins in March 2025 may end in 2025.
  const known = Math.min(start_date.length, end_date?.length ?? 0);
  if (end_date && end_date.slice(0, known) < start_date.slice(0, known))
    errors.push({ at: "end_date", message: "must not be before start_date" });
  for (const place of fits?.nameless ?? []) errors.push({ at: `entities.${place}`, message: "has nothing of a name" });
  if (errors.length > 0) throw invalidInput(errors);
}

/** One event, by its id. Throws NOT_FOUND. */
async function eventIn(tx: Tx, id: string): Promise<Event> {
  const [event] = await tx<Event[]>`
    select ${columns(tx)}
    from brain.events
    join brain.spaces on spaces.id = space_id
    where events.id = ${id} and ${isShown(tx, tx`events.memory_id`)}`;
  if (!event) throw notFound("event");
  return event;
}

/** Deletes an event. Throws NOT_FOUND, CONFLICT for one that a decision tells of. */
export function deleteEvent(caller: Caller, id: string, { if_revision }: WriteOptions = {}): Promise<void> {
  refuseRevision(if_revision);
  return caller.write(async (tx) => {
    const { is_derived } = await eventIn(tx, id);
    if (is_derived)
      throw new Problem("CONFLICT", "This event is told by a dated decision and goes with it.", {
        hint: "Change or delete the memory it comes from.",
      });
    const gone = await tx`delete from brain.events where id = ${id} returning id`;
    if (gone.length === 0) throw notFound("event");
  });
}
