import { type Static, type TSchema, t } from "elysia";
import { SPACE_NAME, SPACE_PREFIXES } from "../auth/grants.ts";
import { byName } from "../mcp/print.ts";
import { closed, oneOf } from "../schema.ts";
import { CATEGORIES, fields, MAX_TAG_LENGTH, READABLE_STATES, SOURCES } from "./schema.ts";

const MAX_VALUES = 32;
const described = (description?: string) => (description === undefined ? {} : { description });

const list = <S extends TSchema>(value: S) => t.Array(value, { minItems: 1, maxItems: MAX_VALUES });
// One value or several; tools/list prints the first of the two forms.
const oneOrMore = <S extends TSchema>(value: S, description?: string) =>
  t.Optional(t.Union([value, list(value)], described(description)));
const listOrOne = <S extends TSchema>(value: S, description?: string) =>
  t.Optional(t.Union([list(value), value], described(description)));

const text = (maxLength: number) => t.String({ minLength: 1, maxLength });
const Moment = (description?: string) =>
  t.Optional(t.String({ minLength: 1, maxLength: 40, ...described(description) }));

/** What a memory must be: every field given holds; several values of one mean any of them. One shape for search and lists. */
export const MemoryFilter = t.Object(
  {
    category: listOrOne(oneOf(CATEGORIES)),
    state: listOrOne(oneOf(READABLE_STATES), "Default active."),
    access_entity: listOrOne(t.String({ maxLength: 512, pattern: SPACE_NAME }), "Names of spaces."),
    scope: oneOrMore(oneOf(SPACE_PREFIXES)),
    app: oneOrMore(text(64), "Client it came through."),
    artifact_type: oneOrMore(fields.artifact_type),
    artifact_ref: oneOrMore(text(1024)),
    entity: oneOrMore(text(256), "In any spelling."),
    tag: listOrOne(text(MAX_TAG_LENGTH), "key or key=value."),
    evidence: listOrOne(text(2048)),
    match: t.Optional(oneOf(["all", "any"], { description: "Of tag, of evidence. Default all." })),
    source: oneOrMore(oneOf(SOURCES)),
    from_date: Moment("Stored since: RFC 3339."),
    to_date: Moment(),
    include_superseded: t.Optional(t.Boolean({ description: "Replaced ones too." })),
  },
  { ...closed, description: "All fields must hold; of a list, any value." },
);
export type MemoryFilter = Static<typeof MemoryFilter>;

/** As search_memory prints it: what kinds of artifact and source there are is told at add_memories. */
const { artifact_type, source } = MemoryFilter.properties;
export const toldFilter = {
  ...MemoryFilter,
  properties: { ...MemoryFilter.properties, ...byName({ artifact_type, source }) },
};

const movedTo = (place: string) => `is now ${place}`;

/** Arguments of the earlier system's searches, and what to say of them. */
export const MOVED: Readonly<Record<string, string>> = {
  filter_tags: movedTo("filter.tag"),
  filter_evidence: movedTo("filter.evidence"),
  filter_category: movedTo("filter.category"),
  filter_scope: movedTo("filter.scope"),
  filter_artifact_type: movedTo("filter.artifact_type"),
  filter_artifact_ref: movedTo("filter.artifact_ref"),
  filter_entity: movedTo("filter.entity"),
  filter_source: movedTo("filter.source"),
  filter_access_entity: movedTo("filter.access_entity"),
  filter_app: movedTo("filter.app"),
  filter_mode: movedTo("filter.match"),
  created_after: movedTo("filter.from_date"),
  created_before: movedTo("filter.to_date"),
  exclude_states: movedTo("filter.state, which names what to find"),
};
