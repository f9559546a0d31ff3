import { type Static, type TSchema, t } from "elysia";
import { SPACE_PREFIXES } from "../auth/grants.ts";
import { closed, oneOf } from "../schema.ts";
import { CATEGORIES, fields, Moment, READABLE_STATES, SpaceName, UUID } from "./schema.ts";

const MAX_VALUES = 32;

const oneOrMore = <S extends TSchema>(value: S, description: string) =>
  t.Union([value, t.Array(value, { minItems: 1, maxItems: MAX_VALUES })], { description });

/** What a memory must be: every field given holds, several values of one field mean any of them. One shape for search and lists. */
export const MemoryFilter = t.Object(
  {
    category: t.Optional(oneOrMore(oneOf(CATEGORIES), "Any of these.")),
    state: t.Optional(oneOrMore(oneOf(READABLE_STATES), "Default active.")),
    access_entity: t.Optional(oneOrMore(SpaceName, "Only in these spaces.")),
    scope: t.Optional(oneOrMore(oneOf(SPACE_PREFIXES), "Spaces of these kinds.")),
    app: t.Optional(oneOrMore(t.String({ minLength: 1, maxLength: 64 }), "Written through these clients.")),
    app_id: t.Optional(oneOrMore(t.String({ pattern: `^${UUID}$` }), "The same, by id.")),
    artifact_type: t.Optional(oneOrMore(fields.artifact_type, "Any of these.")),
    artifact_ref: t.Optional(oneOrMore(t.String({ minLength: 1, maxLength: 1024 }), "Exactly one of these.")),
    entity: t.Optional(oneOrMore(t.String({ minLength: 1, maxLength: 256 }), "About one of these, in any spelling.")),
    tag: t.Optional(oneOrMore(t.String({ minLength: 1, maxLength: 1153 }), "key or key=value; all, see match.")),
    evidence: t.Optional(oneOrMore(t.String({ minLength: 1, maxLength: 2048 }), "All, see match.")),
    match: t.Optional(oneOf(["all", "any"], { description: "Of tag, and of evidence. Default all." })),
    source: t.Optional(oneOrMore(fields.source, "Any of these.")),
    from_date: t.Optional(Moment),
    to_date: t.Optional(Moment),
    include_superseded: t.Optional(t.Boolean({ description: "What a newer one replaces too. Default false." })),
  },
  closed,
);
export type MemoryFilter = Static<typeof MemoryFilter>;
