import { type Static, t } from "elysia";
import { EntityName } from "../entities/schema.ts";
import { SpaceName } from "../memories/schema.ts";
import { closed, Id, nullable, oneOf } from "../schema.ts";
import { limit } from "./schema.ts";

export const EVENT_TYPES = [
  "residence",
  "education",
  "work",
  "project",
  "relationship",
  "health",
  "travel",
  "milestone",
  "release",
  "incident",
  "decision",
] as const;

const year = (description: string) =>
  t
    .Transform(t.String({ pattern: "^[0-9]{1,4}$", told: { type: "integer", minimum: 0, maximum: 9999, description } }))
    .Decode(Number)
    .Encode(String);

const Cursor = t.String({ minLength: 1, maxLength: 512, description: "next_cursor of the page before." });
export const EventTypes = t.String({
  minLength: 1,
  maxLength: 256,
  description: `Only these, separated by commas: ${EVENT_TYPES.join(", ")}.`,
});
export const TimelineQuery = t.Object(
  {
    entity_name: t.Optional(EntityName),
    event_types: t.Optional(EventTypes),
    start_year: t.Optional(year("Only what ends in it or later; without an end, what begins then.")),
    end_year: t.Optional(year("Only what begins in it or earlier.")),
    limit: limit("timeline"),
    cursor: t.Optional(Cursor),
  },
  closed,
);

const GraphDate = t.String({
  pattern: "^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$",
  description: "A year, month or day: 2025, 2025-03, 2025-03-31.",
});

export const NewEvent = t.Object(
  {
    name: t.String({ minLength: 1, maxLength: 256, description: "What happened, in a few words." }),
    event_type: oneOf(EVENT_TYPES),
    start_date: GraphDate,
    end_date: t.Optional(GraphDate),
    description: t.Optional(t.String({ minLength: 1, maxLength: 4096 })),
    entities: t.Optional(t.Array(EntityName, { maxItems: 32, description: "Who or what took part." })),
    memory_id: t.Optional(
      t.String({ format: "uuid", description: "The memory that says so; the event goes with it." }),
    ),
    access_entity: t.Optional(
      t.Union([t.Literal("auto"), SpaceName], { description: "Default: the memory's space, else your own." }),
    ),
  },
  closed,
);
export type NewEvent = Static<typeof NewEvent>;

export const ByEvent = t.Object({ id: t.String({ format: "uuid", description: "Id of an event." }) }, closed);
export const Event = t.Object(
  {
    id: t.String({ format: "uuid" }),
    name: t.String(),
    event_type: oneOf(EVENT_TYPES),
    start_date: GraphDate,
    end_date: nullable(GraphDate),
    description: nullable(t.String()),
    entities: t.Array(t.String(), { description: "Who or what took part; of a decision, what its memory mentions." }),
    memory_id: nullable(Id),
    access_entity: t.String(),
    is_derived: t.Boolean({ description: "It comes from a dated decision and goes with it." }),
  },
  closed,
);
export type Event = Static<typeof Event>;

export const Timeline = t.Object(
  {
    items: t.Array(Event),
    total: nullable(t.Number({ description: "How many there are; null with a cursor." })),
    next_cursor: nullable(t.String()),
  },
  closed,
);
export type Timeline = Static<typeof Timeline>;
