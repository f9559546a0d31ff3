import type postgres from "postgres";
import type { Caller, Tx } from "../db.ts";
import { entitiesNamed, isShown, nameOf } from "../entities/names.ts";
import { invalidInput } from "../problem.ts";
import { EVENT_TYPES, type Event, type Timeline } from "./event_schema.ts";
import { LIMITS } from "./schema.ts";
import { wordsFrom } from "./words.ts";

export interface TimelineFilter {
  /** In any spelling; an unknown one has no events. */
  entity_name?: string | undefined;
  /** Separated by commas. */
  event_types?: string | undefined;
  start_year?: number | undefined;
  end_year?: number | undefined;
  limit?: number | undefined;
  cursor?: string | undefined;
}

/**
 * What happened when, the earliest first: events that were stored, and decisions that tell their date. One that a memory
 * says is there while that memory is active. Throws INVALID_INPUT.
 */
export function timeline(
  caller: Caller,
  { entity_name, event_types, start_year, end_year, limit = LIMITS.timeline[1], cursor }: TimelineFilter = {},
): Promise<Timeline> {
  const types = wordsFrom(event_types, EVENT_TYPES, "event_types");
  const after = cursor === undefined ? null : placeFrom(cursor);
  const year = (given: number | undefined) => (given === undefined ? null : String(given).padStart(4, "0"));
  const [first, last] = [year(start_year), year(end_year)];
  if (first !== null && last !== null && last < first)
    throw invalidInput([{ at: "end_year", message: "must not be before start_year" }]);
  return caller.read(async (tx) => {
    const [entity] = entity_name === undefined ? [] : await entitiesNamed(tx, [entity_name]);
    if (entity === null) return { items: [], total: 0, next_cursor: null };
    const rows = await tx<(Event & { total: number | null })[]>`
      with found as materialized (
        select events.id, start_date
        from brain.events
        where ${isShown(tx, tx`events.memory_id`)}
          and (${types}::text[] is null or type = any (${types}))
          and (${first}::text is null or left(coalesce(end_date, start_date), 4) >= ${first})
          and (${last}::text is null or left(start_date, 4) <= ${last})
          and (${entity?.key ?? null}::text is null or exists (
            select from (${participants(tx, tx`events`)}) as part where part.key = ${entity?.key ?? null}))
      ),
      page as materialized (
        select id
        from found
        where ${after ? tx`(start_date, id) > (${after.start_date}, ${after.id}::uuid)` : tx`true`}
        order by start_date, id
        limit ${limit + 1}
      )
      select ${columns(tx)}, ${after ? tx`null` : tx`(select count(*)::int from found)`} as total
      from page
      join brain.events using (id)
      join brain.spaces on spaces.id = space_id
      order by start_date, events.id`;
    const items = rows.slice(0, limit).map(({ total: _, ...event }) => event);
    return {
      items,
      total: after ? null : (rows[0]?.total ?? 0),
      next_cursor: rows.length > limit ? cursorAt(items.at(-1)) : null,
    };
  });
}

type Fragment = postgres.Fragment;

/** The keys of who or what took part in an event: those it names; of a decision, those its memory mentions. */
const participants = (tx: Tx, event: Fragment) => tx`
  select coalesce(named.merged_into, part.key) as key
  from brain.event_entities as part
  left join brain.entities as named on named.space_id = part.space_id and named.key = part.key
  where part.event_id = ${event}.id
  union
  select mentions.key
  from brain.mentions
  where ${event}.is_derived and mentions.memory_id = ${event}.memory_id and is_active`;

/** An event as every door shows it: of `events` joined to its `spaces`. */
export const columns = (tx: Tx) => tx`
  events.id, name, type as event_type, start_date, end_date, description, memory_id, access_entity, is_derived,
  array(
    select ${nameOf(tx, tx`part.key`)}
    from (${participants(tx, tx`events`)}) as part
    order by part.key collate "C"
  ) as entities`;

const PLACE = /^(\d{4}(?:-\d\d){0,2}) ([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})$/;

const cursorAt = (event: Event | undefined) =>
  event ? Buffer.from(`${event.start_date} ${event.id}`).toString("base64url") : null;

/** The place after which a page begins. Throws INVALID_INPUT for a cursor that no timeline gave out. */
function placeFrom(cursor: string) {
  const [, start_date, id] = PLACE.exec(Buffer.from(cursor, "base64url").toString()) ?? [];
  if (!start_date || !id) throw invalidInput([{ at: "cursor", message: "is not one that a timeline gave out" }]);
  return { start_date, id };
}
