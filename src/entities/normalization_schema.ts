import { type Static, t } from "elysia";
import { SpaceName } from "../memories/schema.ts";
import { closed, limitOf, nullable, oneOf } from "../schema.ts";
import { EntityName } from "./schema.ts";
import { REASONS } from "./similar.ts";

/** What finds duplicates. By their meaning they would be found with embeddings, of which there are none yet. */
const METHODS = ["strings", "embeddings"] as const;

export const MAX_VARIANTS = 100;
/** Most groups that one call with `auto` merges. */
export const MAX_GROUPS = 100;
export const USUAL_THRESHOLD = 0.7;

/** A number from 0 to 1 in a query. */
const Share = t
  .Transform(
    t.String({
      pattern: "^(0(\\.[0-9]{1,6})?|1(\\.0{1,6})?)$",
      told: { type: "number", minimum: 0, maximum: 1, default: USUAL_THRESHOLD, description: "How sure at least." },
    }),
  )
  .Decode(Number)
  .Encode(String);

export const DuplicatesQuery = t.Object(
  { access_entity: t.Optional(SpaceName), limit: t.Optional(limitOf(200, 50)) },
  closed,
);
export const SemanticDuplicatesQuery = t.Object(
  { ...DuplicatesQuery.properties, threshold: t.Optional(Share) },
  closed,
);

const counts = {
  memory_count: t.Number({ description: "Active memories that mention it." }),
  relation_count: t.Number(),
  event_count: t.Number(),
};
const likeness = {
  why: oneOf(REASONS),
  confidence: t.Number({ minimum: 0, maximum: 1 }),
};

const DuplicateGroup = t.Object(
  {
    access_entity: t.String({ description: "The space that has them all." }),
    canonical: t.String({ description: "The most mentioned of them." }),
    memory_count: counts.memory_count,
    variants: t.Array(t.Object({ name: t.String(), memory_count: counts.memory_count, ...likeness }, closed)),
  },
  closed,
);
export type DuplicateGroup = Static<typeof DuplicateGroup>;

export const Duplicates = t.Object(
  {
    items: t.Array(DuplicateGroup),
    total: t.Number(),
    method: oneOf(METHODS),
    threshold: t.Number(),
    is_cut: t.Boolean({ description: "Whether what is least mentioned was not compared." }),
  },
  closed,
);
export type Duplicates = Static<typeof Duplicates>;

export const mergeFields = {
  canonical: t.Optional(EntityName),
  variants: t.Optional(
    t.Array(EntityName, { minItems: 1, maxItems: MAX_VARIANTS, description: "Other names of canonical." }),
  ),
  auto: t.Optional(
    t.Boolean({ description: "What the duplicates say, instead of canonical and variants. Default false." }),
  ),
  dry_run: t.Optional(t.Boolean({ description: "Only tell what would change. Default true." })),
  access_entity: t.Optional(SpaceName),
};
const threshold = t.Optional(t.Number({ minimum: 0, maximum: 1, description: "How sure at least. Default 0.7." }));

export const MergeRequest = t.Object(mergeFields, closed);
export type MergeRequest = Static<typeof MergeRequest>;
export const SemanticMergeRequest = t.Object({ ...mergeFields, threshold }, closed);
export type SemanticMergeRequest = Static<typeof SemanticMergeRequest>;

const Merge = t.Object(
  {
    merge_id: nullable(t.String({ format: "uuid", description: "To undo it by; null where nothing was changed." })),
    canonical: t.String(),
    access_entities: t.Array(t.String(), { description: "The spaces in which something changes." }),
    variants: t.Array(
      t.Object(
        {
          name: t.String(),
          ...counts,
          why: nullable(likeness.why),
          confidence: nullable(likeness.confidence),
        },
        closed,
      ),
      { description: "What counts for canonical from then on, with what names each." },
    ),
    ...counts,
  },
  closed,
);
export type Merge = Static<typeof Merge>;

export const MergeAnswer = t.Object(
  {
    dry_run: t.Boolean(),
    method: oneOf(METHODS),
    merges: t.Array(Merge),
    total: t.Number({ description: "How many groups there are; beyond 100, call again." }),
    is_cut: t.Boolean({ description: "Whether what is least mentioned was not compared." }),
  },
  closed,
);
export type MergeAnswer = Static<typeof MergeAnswer>;

export const ByMerge = t.Object({ merge_id: t.String({ format: "uuid" }) }, closed);
export const Undone = t.Object(
  {
    merge_id: t.String({ format: "uuid" }),
    canonical: t.String(),
    variants: t.Array(t.String(), { description: "What stands for itself again, or counts for what it did before." }),
    access_entities: t.Array(t.String()),
  },
  closed,
);
export type Undone = Static<typeof Undone>;
