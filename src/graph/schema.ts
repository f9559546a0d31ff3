import { type Static, t } from "elysia";
import { EntityName } from "../entities/schema.ts";
import { closed, Id, Instant, limitOf, oneOf } from "../schema.ts";

/** What two memories can have in common. */
export const KINDS = ["entity", "tag", "evidence", "artifact_ref", "code_ref"] as const;
export type Kind = (typeof KINDS)[number];

export const DIMENSIONS = [
  "category",
  "scope",
  "artifact_type",
  "artifact_ref",
  "tag",
  "entity",
  "app",
  "evidence",
  "source",
  "state",
  "access_entity",
] as const;
export type Dimension = (typeof DIMENSIONS)[number];

/** Most rows of each list, and how many there are without a limit. */
export const LIMITS = {
  related: [100, 10],
  subgraph: [200, 25],
  similar: [50, 10],
  aggregate: [200, 20],
  pairs: [200, 20],
  related_tags: [50, 20],
  search: [100, 20],
  timeline: [200, 50],
  communities: [100, 20],
  members: [100, 10],
  similarity: [100, 50],
  connectivity: [100, 20],
} as const;
/** Most examples of a pair of tags. */
export const MAX_SAMPLE = 10;
/** A number that nothing reaches: of memories, say. */
export const MAX_COUNT = 999_999;

export const limit = (list: keyof typeof LIMITS) => t.Optional(limitOf(LIMITS[list][0], LIMITS[list][1]));
export const min_count = (usual: number) => t.Optional(limitOf(MAX_COUNT, usual, "Only in so many memories or more."));

/** A number from 0 to 1 in a query. */
export const share = (usual: number, description: string) =>
  t
    .Transform(
      t.String({
        pattern: "^(0|1|0?\\.[0-9]{1,6}|1\\.0{1,6})$",
        told: { type: "number", minimum: 0, maximum: 1, default: usual, description },
      }),
    )
    .Decode(Number)
    .Encode(String);

export const Via = t.String({
  minLength: 1,
  maxLength: 64,
  description: `Only by these, separated by commas: ${KINDS.join(", ")}.`,
});
export const TagKey = t.String({ minLength: 1, maxLength: 128, description: "The key of a tag." });
export const total = t.Number({ description: "How many there are." });
export const is_cut = t.Boolean({ description: "Whether there is more than is looked at together." });
export const name = t.String({ description: "The first spelling seen." });
const score = t.Number();
const npmi = t.Number({ minimum: -1, maximum: 1, description: "How much more often together than by chance." });

/** As much of a memory as shows which it is. */
const about = {
  category: t.String(),
  access_entity: t.String(),
  preview: t.String({ description: "The first 160 characters." }),
  created_at: Instant,
};
export const Glimpse = t.Object({ id: Id, ...about }, closed);
export type Glimpse = Static<typeof Glimpse>;

export const ById = t.Object({ id: Id }, closed);

export const RelatedQuery = t.Object({ via: t.Optional(Via), limit: limit("related") }, closed);

const Shared = t.Object(
  {
    kind: oneOf(KINDS),
    name: t.String(),
    weight: t.Number({ description: "ln(1 + N/df): the rarer, the more." }),
  },
  closed,
);
export type Shared = Static<typeof Shared>;

export const RelatedMemories = t.Object(
  {
    memory_id: Id,
    items: t.Array(
      t.Object(
        {
          ...Glimpse.properties,
          score: t.Number({ description: "The sum of the weights." }),
          shared: t.Array(Shared, { description: "The heaviest first, up to 10." }),
          shared_count: t.Number(),
        },
        closed,
      ),
    ),
    total,
  },
  closed,
);
export type RelatedMemories = Static<typeof RelatedMemories>;

export const SimilarQuery = t.Object(
  { min_score: t.Optional(share(0.1, "Only what reaches this.")), limit: limit("similar") },
  closed,
);

export const SimilarMemories = t.Object(
  {
    memory_id: Id,
    method: t.Literal("terms", { description: "By what they were compared: the words of their texts." }),
    items: t.Array(t.Object({ ...Glimpse.properties, score: t.Number({ minimum: 0, maximum: 1 }) }, closed)),
    total,
  },
  closed,
);
export type SimilarMemories = Static<typeof SimilarMemories>;

const Depth = oneOf(["1", "2"], { description: "Steps from memory to memory; default 2." });
export const SubgraphQuery = t.Object(
  { depth: t.Optional(Depth), via: t.Optional(Via), related_limit: limit("subgraph") },
  closed,
);

const GraphNode = t.Object(
  {
    id: t.String({ description: "Of a memory its id." }),
    kind: oneOf(["memory", ...KINDS]),
    name: t.Optional(t.String()),
    ...t.Partial(t.Object(about)).properties,
  },
  closed,
);
export type GraphNode = Static<typeof GraphNode>;
const GraphEdge = t.Object(
  {
    source: t.String(),
    target: t.String(),
    kind: oneOf([...KINDS, "relation", "supersedes"]),
    type: t.Optional(t.String({ description: "Of a relation." })),
  },
  closed,
);
export type GraphEdge = Static<typeof GraphEdge>;

export const Subgraph = t.Object(
  {
    memory_id: Id,
    depth: t.Number(),
    nodes: t.Array(GraphNode),
    edges: t.Array(GraphEdge),
    total: t.Number({ description: "How many memories are related to it, shown or not." }),
  },
  closed,
);
export type Subgraph = Static<typeof Subgraph>;

export const GraphStats = t.Object(
  {
    memory_count: t.Number(),
    entity_count: t.Number(),
    mention_count: t.Number(),
    tag_count: t.Number(),
    relation_count: t.Number(),
    event_count: t.Number(),
    co_mention_count: t.Number({ description: "Pairs of entities that a memory mentions together." }),
    is_cut,
  },
  closed,
);
export type GraphStats = Static<typeof GraphStats>;

export const GraphHealth = t.Object({ status: t.Literal("ok") }, closed);

export const ByDimension = t.Object({ dimension: oneOf(DIMENSIONS) }, closed);
export const AggregateQuery = t.Object({ limit: limit("aggregate") }, closed);
export const Aggregate = t.Object(
  { dimension: oneOf(DIMENSIONS), items: t.Array(t.Object({ key: t.String(), count: t.Number() }, closed)), total },
  closed,
);
export type Aggregate = Static<typeof Aggregate>;

export const PairsQuery = t.Object(
  {
    limit: limit("pairs"),
    min_count: min_count(2),
    sample_size: t.Optional(limitOf(MAX_SAMPLE, 3, "Examples of each pair.")),
  },
  closed,
);
export const TagPairs = t.Object(
  {
    items: t.Array(
      t.Object(
        { tag1: t.String(), tag2: t.String(), count: t.Number(), npmi, example_memory_ids: t.Array(Id) },
        closed,
      ),
    ),
    total,
  },
  closed,
);
export type TagPairs = Static<typeof TagPairs>;

export const ByTag = t.Object({ key: TagKey }, closed);
export const RelatedTagsQuery = t.Object({ limit: limit("related_tags"), min_count: min_count(1) }, closed);
export const RelatedTags = t.Object(
  { tag: t.String(), items: t.Array(t.Object({ tag: t.String(), count: t.Number(), npmi }, closed)), total },
  closed,
);
export type RelatedTags = Static<typeof RelatedTags>;

const Words = t.String({ minLength: 1, maxLength: 1024, description: 'Words, "phrases" and -excluded words.' });
export const FindQuery = t.Object({ query: Words, limit: limit("search") }, closed);
export const FoundMemories = t.Object(
  { items: t.Array(t.Object({ ...Glimpse.properties, score }, closed)), total },
  closed,
);
export type FoundMemories = Static<typeof FoundMemories>;

export const FindEntityQuery = t.Object({ query: EntityName, limit: limit("search") }, closed);
export const FoundEntities = t.Object(
  { items: t.Array(t.Object({ name, memory_count: t.Number(), score }, closed)), total },
  closed,
);
export type FoundEntities = Static<typeof FoundEntities>;
