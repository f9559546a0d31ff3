import { type Static, t } from "elysia";
import { RelationType } from "../entities/schema.ts";
import { EVENT_TYPES } from "../graph/event_schema.ts";
import { CATEGORIES, fields, SpaceName, STATES } from "../memories/schema.ts";
import { closed, nullable, oneOf } from "../schema.ts";

/** Of manifest.json. A reader that does not know the version must not guess. */
export const FORMAT = "coding-brain";
export const FORMAT_VERSION = 1;

const UUID = t.String({ format: "uuid" });
const Moment = t.Union(
  [t.String({ minLength: 1, maxLength: 40 }), t.Number({ minimum: 0, maximum: 253_402_300_799, multipleOf: 1 })],
  { description: "RFC 3339, or whole seconds since 1970." },
);
const several = <S extends ReturnType<typeof oneOf> | typeof UUID | typeof SpaceName>(item: S, description: string) =>
  t.Array(item, { minItems: 1, maxItems: 64, description });

export const ExportRequest = t.Object(
  {
    access_entity: t.Optional(SpaceName),
    access_entities: t.Optional(several(SpaceName, "Several spaces.")),
    app_id: t.Optional(t.String({ format: "uuid", description: "Written through this app." })),
    app_ids: t.Optional(several(UUID, "Written through one of these apps.")),
    category: t.Optional(oneOf(CATEGORIES)),
    categories: t.Optional(several(oneOf(CATEGORIES), "Several categories.")),
    states: t.Optional(
      several(oneOf(STATES), "Default all four: what was deleted and can still be restored is in the archive too."),
    ),
    from_date: t.Optional(Moment),
    to_date: t.Optional(Moment),
    include_vectors: t.Optional(
      t.Boolean({ description: "Taken and without effect: an archive has no vectors, they are made anew." }),
    ),
  },
  closed,
);
export type ExportRequest = Static<typeof ExportRequest>;

export const MODES = ["skip", "overwrite"] as const;

export const ImportQuery = t.Object(
  {
    mode: t.Optional(
      oneOf(MODES, {
        description: "What becomes of memories that are there already: left alone (default), or changed.",
      }),
    ),
    dry_run: t.Optional(oneOf(["true", "false"], { description: "Say what would happen, and change nothing." })),
    access_entity: t.Optional(
      t.String({ ...SpaceName, description: "Put all of it into this space, wherever it was." }),
    ),
  },
  closed,
);
export type ImportQuery = Static<typeof ImportQuery>;

/** Why something of an archive was not taken over. */
const Reason = t.Object(
  {
    line: t.Number({ description: "Which line, or element of the list, from 1." }),
    id: nullable(t.String({ description: "The id it has in the archive, where it has a readable one." })),
    code: t.String({ description: "As in problems." }),
    message: t.String(),
    at: t.Optional(t.String({ description: "Which field." })),
  },
  closed,
);
export type Reason = Static<typeof Reason>;

export const ImportReport = t.Object(
  {
    format: oneOf(["coding-brain", "earlier"], { description: "What kind of archive it was." }),
    dry_run: t.Boolean(),
    created: t.Number(),
    updated: t.Number(),
    skipped: t.Number({ description: "There already: the same memory, or one that says exactly the same." }),
    rejected: t.Number(),
    reasons: t.Array(Reason, { description: "Of the first 100 that were rejected." }),
    relations: t.Number({ description: "Relations added." }),
    events: t.Number({ description: "Events added." }),
    links_left_out: t.Number({ description: "What memories that were taken over point to, and that is not there." }),
    links: t.Array(Reason, { description: "The first 100 of these." }),
  },
  closed,
);
export type ImportReport = Static<typeof ImportReport>;

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
