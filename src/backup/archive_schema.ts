import { type Static, t } from "elysia";
import { RelationType } from "../entities/schema.ts";
import { EVENT_TYPES } from "../graph/event_schema.ts";
import { fields, SpaceName, STATES } from "../memories/schema.ts";
import { nullable, oneOf } from "../schema.ts";

/** Of manifest.json. A reader that does not know the version must not guess. */
export const FORMAT = "coding-brain";
export const FORMAT_VERSION = 1;

const UUID = t.String({ format: "uuid" });
const Name = t.String({ minLength: 1, maxLength: 256 });

/** Who or what is related how; the memory that says so is the one it is written with. */
export const ArchivedRelation = t.Object({ from: Name, to: Name, type: RelationType }, { additionalProperties: true });
export type ArchivedRelation = Static<typeof ArchivedRelation>;

export const ArchivedEvent = t.Object(
  {
    id: UUID,
    name: Name,
    type: oneOf(EVENT_TYPES),
    start_date: t.String({ maxLength: 10 }),
    end_date: nullable(t.String({ maxLength: 10 })),
    description: nullable(t.String({ minLength: 1, maxLength: 4096 })),
    entities: t.Array(Name, { maxItems: 64 }),
  },
  { additionalProperties: true },
);
export type ArchivedEvent = Static<typeof ArchivedEvent>;

/** A name that counts for another one. */
export const ArchivedAlias = t.Object({ name: Name, of: Name }, { additionalProperties: true });
export type ArchivedAlias = Static<typeof ArchivedAlias>;

/**
 * A line of memories.jsonl as far as an import looks at it. What else is there (who wrote it and when, revisions) is for
 * readers: an import writes what its caller could have written by hand.
 */
export const ArchivedMemory = t.Object(
  {
    id: UUID,
    content: fields.content,
    category: t.Optional(fields.category),
    access_entity: t.Optional(SpaceName),
    artifact_type: t.Optional(nullable(fields.artifact_type)),
    artifact_ref: t.Optional(nullable(fields.artifact_ref)),
    entities: t.Optional(fields.entities),
    thread: t.Optional(nullable(fields.thread)),
    evidence: t.Optional(fields.evidence),
    tags: t.Optional(fields.tags),
    code_refs: t.Optional(fields.code_refs),
    source: t.Optional(fields.source),
    metadata: t.Optional(fields.metadata),
    supersedes: t.Optional(nullable(fields.supersedes)),
    state: t.Optional(oneOf(STATES)),
    relations: t.Optional(t.Array(ArchivedRelation, { maxItems: 10_000 })),
    events: t.Optional(t.Array(ArchivedEvent, { maxItems: 10_000 })),
  },
  { additionalProperties: true },
);
export type ArchivedMemory = Static<typeof ArchivedMemory>;

/** More of what did not fit a line: revisions of the memory with this id. */
export const Continuation = t.Object({ id: UUID, continues: t.Literal(true) }, { additionalProperties: true });

export const Manifest = t.Object(
  {
    format: t.Literal(FORMAT),
    version: t.Number(),
    members: t.Array(
      t.Object(
        { name: t.String({ maxLength: 256 }), bytes: t.Number(), sha256: t.String({ pattern: "^[0-9a-f]{64}$" }) },
        { additionalProperties: true },
      ),
      { maxItems: 64 },
    ),
    counts: t.Object({ memories: t.Number() }, { additionalProperties: true }),
  },
  { additionalProperties: true },
);
export type Manifest = Static<typeof Manifest>;
