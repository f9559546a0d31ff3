import { type Static, t } from "elysia";
import { SPACE_NAME, SPACE_PREFIXES } from "../auth/grants.ts";
import { closed, Id, Instant, nullable, oneOf, Page, Size } from "../schema.ts";

export const CATEGORIES = [
  "decision",
  "convention",
  "architecture",
  "dependency",
  "workflow",
  "testing",
  "security",
  "performance",
  "runbook",
  "glossary",
  "note",
] as const;
export const STATES = ["active", "paused", "archived", "deleted"] as const;
export const READABLE_STATES = ["active", "paused", "archived"] as const;

/** Content is counted in bytes of UTF-8; a schema can only count characters, the service does the rest. */
export const MAX_CONTENT_BYTES = 65_536;

const Content = t.String({ minLength: 1, maxLength: MAX_CONTENT_BYTES, description: "The text, up to 65536 bytes." });
const Category = oneOf(CATEGORIES, { description: "Default note." });
const AccessEntity = t.String({
  minLength: 1,
  maxLength: 512,
  description: "Space: user:<sub> (default), team:…, project:…, org:…; auto: the one shared.",
});
/** A space to look in, by its name alone. */
export const SpaceName = t.String({
  minLength: 1,
  maxLength: 512,
  pattern: SPACE_NAME,
  description: "One space, by name.",
});
const ArtifactType = oneOf(["repo", "service", "module", "component", "api", "db", "infra", "file"]);
const ArtifactRef = t.String({ minLength: 1, maxLength: 1024, description: "Which artifact, e.g. a path." });
const Name = t.String({ minLength: 1, maxLength: 256 });
const Entities = t.Array(Name, { maxItems: 32, description: "What it is about; entity for just one." });
const Thread = t.String({ minLength: 1, maxLength: 256, description: "Conversation or pull request it came from." });
const Evidence = t.Array(t.String({ minLength: 1, maxLength: 2048 }), {
  maxItems: 32,
  description: "Links, commits, ADR numbers.",
});
/** Of `key=value` in a filter: a key of 128, the sign, a value of 1024. */
export const MAX_TAG_LENGTH = 1153;
const TagKey = t.String({ minLength: 1, maxLength: 128 });
// As a pattern, and the object closed: a key that matched none would go by unchecked, and `.` does not match a newline.
const AnyTagKey = t.String({ pattern: "^[\\s\\S]{1,128}$" });
const TagValue = t.Union([t.String({ maxLength: 1024 }), t.Number(), t.Boolean()]);
const TagObject = t.Record(AnyTagKey, TagValue, { maxProperties: 64, additionalProperties: false });
const Tags = t.Union([TagObject, t.Array(TagKey, { maxItems: 64 })], {
  description: "Keys to values; a list means true for each.",
});
const Line = t.Number({ minimum: 1, maximum: 2_147_483_647, multipleOf: 1 });
const CodeRef = t.Object(
  {
    path: t.String({ minLength: 1, maxLength: 1024 }),
    repo: t.Optional(t.String({ minLength: 1, maxLength: 512 })),
    symbol: t.Optional(t.String({ minLength: 1, maxLength: 512 })),
    line_start: t.Optional(Line),
    line_end: t.Optional(Line),
    commit: t.Optional(t.String({ minLength: 1, maxLength: 128 })),
    content_hash: t.Optional(t.String({ minLength: 1, maxLength: 256 })),
  },
  { additionalProperties: false },
);
const CodeRefs = t.Array(CodeRef, { maxItems: 32, description: "Places in code." });
export const SOURCES = ["user", "inference", "import"] as const;
const Source = oneOf(SOURCES, { description: "Default user." });
const Supersedes = t.String({ format: "uuid", description: "The older memory that this one replaces." });
const Metadata = t.Object({}, { additionalProperties: true, description: "Any other JSON, up to 16384 bytes." });

/** The fields of a memory that a caller writes, by the names every door uses. */
export const fields = {
  content: Content,
  category: Category,
  access_entity: AccessEntity,
  artifact_type: ArtifactType,
  artifact_ref: ArtifactRef,
  entities: Entities,
  entity: Name,
  thread: Thread,
  evidence: Evidence,
  tags: Tags,
  code_refs: CodeRefs,
  source: Source,
  metadata: Metadata,
  supersedes: Supersedes,
};

export const NewMemory = t.Object(
  {
    content: fields.content,
    category: t.Optional(fields.category),
    access_entity: t.Optional(fields.access_entity),
    artifact_type: t.Optional(fields.artifact_type),
    artifact_ref: t.Optional(fields.artifact_ref),
    entities: t.Optional(fields.entities),
    entity: t.Optional(fields.entity),
    thread: t.Optional(fields.thread),
    evidence: t.Optional(fields.evidence),
    tags: t.Optional(fields.tags),
    code_refs: t.Optional(fields.code_refs),
    source: t.Optional(fields.source),
    metadata: t.Optional(fields.metadata),
    supersedes: t.Optional(fields.supersedes),
  },
  closed,
);
export type NewMemory = Static<typeof NewMemory>;

export const MAX_BATCH = 100;
export const NewMemories = t.Object({ memories: t.Array(NewMemory, { minItems: 1, maxItems: MAX_BATCH }) }, closed);

/** What a change may set; null clears a field that may be empty. */
export const MemoryChanges = t.Object(
  {
    content: t.Optional(fields.content),
    category: t.Optional(fields.category),
    access_entity: t.Optional(fields.access_entity),
    artifact_type: t.Optional(nullable(fields.artifact_type)),
    artifact_ref: t.Optional(nullable(fields.artifact_ref)),
    entities: t.Optional(nullable(fields.entities)),
    entity: t.Optional(fields.entity),
    thread: t.Optional(nullable(fields.thread)),
    evidence: t.Optional(nullable(fields.evidence)),
    tags: t.Optional(nullable(fields.tags)),
    code_refs: t.Optional(nullable(fields.code_refs)),
    source: t.Optional(fields.source),
    metadata: t.Optional(nullable(fields.metadata)),
    supersedes: t.Optional(nullable(fields.supersedes)),
  },
  { ...closed, minProperties: 1 },
);
export type MemoryChanges = Static<typeof MemoryChanges>;

/** The fields a caller can empty. */
export const CLEARABLE = [
  "artifact_type",
  "artifact_ref",
  "entities",
  "thread",
  "evidence",
  "tags",
  "code_refs",
  "metadata",
  "supersedes",
] as const;

const memoryFields = {
  id: Id,
  content: t.String(),
  category: Category,
  access_entity: t.String(),
  scope: oneOf(SPACE_PREFIXES, { description: "Who the space is for; follows from access_entity." }),
  artifact_type: nullable(ArtifactType),
  artifact_ref: nullable(t.String()),
  entities: t.Array(t.String()),
  thread: nullable(t.String()),
  evidence: t.Array(t.String()),
  tags: TagObject,
  code_refs: CodeRefs,
  source: Source,
  metadata: Metadata,
  supersedes: nullable(t.String({ format: "uuid", description: "The older memory it replaces." })),
  superseded_by: nullable(t.String({ format: "uuid", description: "The newest memory that replaces it." })),
  state: oneOf(STATES),
  revision: t.Number(),
  owner: t.String({ description: "The sub of the user who wrote it." }),
  app: t.String({ description: "The client it came through." }),
  app_id: t.String({ format: "uuid" }),
  created_at: Instant,
  updated_at: Instant,
  archived_at: nullable(Instant),
  deleted_at: nullable(Instant),
};

export const Memory = t.Object(memoryFields, closed);
export type Memory = Static<typeof Memory>;

/** Older decisions of the same space that a new decision may replace. */
export const Similars = t.Array(t.Object({ id: t.String(), score: t.Number(), preview: t.String() }), {
  description: "Older decisions that this one may replace: supersedes says that it does.",
});

/** What storing gives: `duplicate` where the memory was there before. */
export const Stored = t.Object(
  { ...memoryFields, duplicate: t.Optional(t.Literal(true)), similar: t.Optional(Similars) },
  closed,
);

export const MemoryIds = t.Object(
  { memory_ids: t.Array(Id, { minItems: 1, maxItems: 1000, description: "Up to 1000 ids." }) },
  closed,
);
export const Deleted = t.Object({ deleted: t.Number(), skipped: t.Number() }, closed);
export type Deleted = Static<typeof Deleted>;

const SearchText = t.String({ minLength: 1, maxLength: 1024, description: 'Words, "phrases" and -excluded words.' });

const csv = (item: string, description: string) =>
  t.String({ pattern: `^(${item})(,(${item})){0,31}$`, maxLength: 2048, description });
/** As a pattern. */
export const UUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}";
export const Moment = t.String({ minLength: 1, maxLength: 40, description: "RFC 3339, or whole seconds since 1970." });

export const ListQuery = t.Object(
  {
    state: t.Optional(oneOf(READABLE_STATES, { description: "Default active." })),
    states: t.Optional(csv("[a-z]+", "Several states, separated by commas.")),
    show_archived: t.Optional(oneOf(["true", "false"], { description: "Archived ones too." })),
    category: t.Optional(oneOf(CATEGORIES)),
    categories: t.Optional(csv("[a-z]+", "Several categories, separated by commas.")),
    access_entity: t.Optional(SpaceName),
    scope: t.Optional(oneOf(SPACE_PREFIXES, { description: "Spaces of this kind." })),
    app_id: t.Optional(t.String({ pattern: `^${UUID}$`, description: "Written through this app." })),
    app_ids: t.Optional(csv(UUID, "Written through one of these apps, separated by commas.")),
    artifact_type: t.Optional(ArtifactType),
    artifact_ref: t.Optional(ArtifactRef),
    entity: t.Optional(t.String({ minLength: 1, maxLength: 256, description: "About this, in any spelling." })),
    // Elysia would cut a list at its commas: the route takes them from the URL itself.
    tag: t.Optional(
      t.String({
        told: {
          type: "array",
          items: { type: "string" },
          description: "key or key=value; repeatable, all must be there.",
        },
      }),
    ),
    source: t.Optional(Source),
    from_date: t.Optional(Moment),
    to_date: t.Optional(Moment),
    search_query: t.Optional(SearchText),
    include_superseded: t.Optional(
      oneOf(["true", "false"], { description: "With search_query: replaced ones too. Lists show them anyway." }),
    ),
    sort_column: t.Optional(
      oneOf(["created_at", "updated_at", "content", "app_name", "category"], { description: "Default created_at." }),
    ),
    sort_direction: t.Optional(oneOf(["asc", "desc"], { description: "Default desc for times, else asc." })),
    page: t.Optional(Page),
    size: t.Optional(Size),
    cursor: t.Optional(t.String({ minLength: 1, maxLength: 256, description: "next_cursor of the page before." })),
  },
  closed,
);
export type ListQuery = Static<typeof ListQuery>;

export const MemoryPage = t.Object(
  {
    items: t.Array(Memory),
    total: nullable(t.Number({ description: "Exact to 10000; null with a cursor." })),
    total_is: nullable(oneOf(["exact", "at_least"])),
    page: nullable(t.Number()),
    size: t.Number(),
    pages: nullable(t.Number()),
    next_cursor: nullable(t.String()),
  },
  closed,
);
export type MemoryPage = Static<typeof MemoryPage>;

export const HistoryQuery = t.Object({ page: t.Optional(Page), size: t.Optional(Size) }, closed);
export type HistoryQuery = Static<typeof HistoryQuery>;

const Revision = t.Object(
  {
    ...t.Pick(Memory, [
      "revision",
      "content",
      "category",
      "access_entity",
      "artifact_type",
      "artifact_ref",
      "entities",
      "thread",
      "evidence",
      "tags",
      "code_refs",
      "source",
      "metadata",
      "state",
      "updated_at",
    ]).properties,
    updated_by: t.String({ description: "The sub of the user who made this revision." }),
  },
  closed,
);

export const History = t.Object({ ...MemoryPage.properties, items: t.Array(Revision) }, closed);
export type History = Static<typeof History>;
