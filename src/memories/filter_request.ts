import { type Static, type TSchema, t } from "elysia";
import { SPACE_PREFIXES } from "../auth/grants.ts";
import { closed, oneOf } from "../schema.ts";
import { MemoryFilter } from "./filter_schema.ts";
import { CATEGORIES, fields, ListQuery, Moment, READABLE_STATES, SOURCES, UUID } from "./schema.ts";

const MAX_VALUES = 32;
const several = <S extends TSchema>(value: S, description?: string) =>
  t.Optional(t.Array(value, { minItems: 1, maxItems: MAX_VALUES, ...(description && { description }) }));
const whole = (maximum: number, description: string) =>
  t.Optional(t.Number({ minimum: 1, maximum, multipleOf: 1, description }));
const When = (description: string) =>
  t.Optional(t.Union([Moment, t.Number({ minimum: 0, maximum: 253_402_300_799, multipleOf: 1 })], { description }));
const AppId = t.String({ pattern: `^${UUID}$` });

/** What each list is another name of. */
export const PLURALS = {
  states: "state",
  categories: "category",
  scopes: "scope",
  artifact_types: "artifact_type",
  entities: "entity",
  sources: "source",
  app_ids: "app_id",
} as const;

/** The filters, order and page of GET /memories as a body, with lists where several values are meant. */
export const FilterRequest = t.Object(
  {
    ...MemoryFilter.properties,
    states: several(oneOf(READABLE_STATES)),
    categories: several(oneOf(CATEGORIES)),
    scopes: several(oneOf(SPACE_PREFIXES)),
    artifact_types: several(fields.artifact_type),
    entities: several(fields.entity, "About one of these, in any spelling."),
    sources: several(oneOf(SOURCES)),
    app_id: t.Optional(AppId),
    app_ids: several(AppId, "Written through one of these apps."),
    show_archived: t.Optional(t.Boolean({ description: "Archived ones too." })),
    from_date: When("Stored then or later: RFC 3339, or whole seconds since 1970."),
    to_date: When("Stored then or before."),
    search_query: ListQuery.properties.search_query,
    sort_column: ListQuery.properties.sort_column,
    sort_direction: ListQuery.properties.sort_direction,
    page: whole(99_999, "From 1."),
    size: whole(100, "Rows a page. Default 20."),
    cursor: ListQuery.properties.cursor,
  },
  closed,
);
export type FilterRequest = Static<typeof FilterRequest>;
