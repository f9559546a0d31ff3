import { type Static, t } from "elysia";
import { Memory, SpaceName } from "../memories/schema.ts";
import { closed, Id, Instant, limitOf, nullable, oneOf } from "../schema.ts";

/** A name as a caller gives it. */
export const EntityName = t.String({
  minLength: 1,
  maxLength: 256,
  description: "An entity, in any spelling.",
});
export const ByName = t.Object({ name: EntityName }, closed);
export const Cursor = t.String({ minLength: 1, maxLength: 2048, description: "next_cursor of the page before." });

const name = t.String({ description: "The first spelling seen." });
const memory_count = t.Number({ description: "Active memories that mention it." });
const total = t.Number({ description: "How many there are." });
const next_cursor = nullable(t.String());
const is_cut = t.Boolean({ description: "Whether what is least mentioned was left out." });
/** A whole number from 1 on, in a query. */
const AtLeast = limitOf(999_999, 1, "Only with so many memories or more.");

export const EntitiesQuery = t.Object(
  { limit: t.Optional(limitOf(200, 50)), min_memories: t.Optional(AtLeast), cursor: t.Optional(Cursor) },
  closed,
);
export type EntitiesQuery = Static<typeof EntitiesQuery>;

export const EntityPage = t.Object(
  { items: t.Array(t.Object({ name, memory_count }, closed)), total, next_cursor },
  closed,
);
export type EntityPage = Static<typeof EntityPage>;

const Connection = t.Object(
  {
    name,
    memory_count: t.Number({ description: "Active memories that mention both." }),
    memory_ids: t.Array(Id, { description: "The newest of them, up to 5." }),
  },
  closed,
);
export type Connection = Static<typeof Connection>;

export const NetworkQuery = t.Object({ limit: t.Optional(limitOf(200, 50)), min_count: t.Optional(AtLeast) }, closed);
export const EntityNetwork = t.Object({ name, items: t.Array(Connection), total }, closed);
export type EntityNetwork = Static<typeof EntityNetwork>;

export const RelationType = t.String({
  pattern: "^[a-z][a-z0-9_]{0,63}$",
  description: "A verb in snake_case: depends_on, owned_by.",
});

/** Types by what they are about; a relation of any other type has no category. */
export const RELATION_CATEGORIES = {
  technical: [
    "calls",
    "configures",
    "contains",
    "depends_on",
    "deployed_on",
    "extends",
    "implements",
    "monitors",
    "part_of",
    "reads",
    "replaces",
    "runs_on",
    "stores",
    "tests",
    "uses",
    "writes",
  ],
  work: [
    "colleague_of",
    "employed_by",
    "leads",
    "maintains",
    "manages",
    "owned_by",
    "owns",
    "reports_to",
    "works_at",
    "works_on",
  ],
  membership: ["belongs_to", "founded", "has_member", "member_of"],
  creative: ["author_of", "composed", "created", "created_by", "designed", "wrote"],
  location: ["based_in", "born_in", "lives_in", "located_in"],
  travel: ["travelled_to", "visited"],
  social: ["acquainted_with", "friend_of", "knows", "neighbour_of"],
  family: ["child_of", "grandparent_of", "married_to", "parent_of", "partner_of", "sibling_of"],
} as const satisfies Record<string, readonly string[]>;
export type RelationCategory = keyof typeof RELATION_CATEGORIES;
const CATEGORY_NAMES = Object.keys(RELATION_CATEGORIES) as [RelationCategory, ...RelationCategory[]];

export const MAX_RELATION_TYPES = 32;
export const relationFields = {
  category: oneOf(CATEGORY_NAMES, { description: "Types of this kind; goes without relation_types." }),
  direction: oneOf(["outgoing", "incoming", "both"], { description: "Seen from the entity. Default both." }),
};

export const RelationsQuery = t.Object(
  {
    relation_types: t.Optional(
      t.String({
        pattern: `^[a-z][a-z0-9_]{0,63}(,[a-z][a-z0-9_]{0,63}){0,${MAX_RELATION_TYPES - 1}}$`,
        description: "Types, separated by commas.",
      }),
    ),
    category: t.Optional(relationFields.category),
    direction: t.Optional(relationFields.direction),
    limit: t.Optional(limitOf(200, 50)),
    cursor: t.Optional(Cursor),
  },
  closed,
);

const relation = {
  id: t.String({ format: "uuid" }),
  type: t.String(),
  direction: oneOf(["outgoing", "incoming"], { description: "Seen from the entity that was asked for." }),
  target: t.String({ description: "The other entity." }),
  memory_id: nullable(t.String({ format: "uuid", description: "The memory that says so." })),
  access_entity: t.String(),
  owner: t.String({ description: "The sub of the user who wrote it." }),
  app: t.String(),
  created_at: Instant,
};
export const Relation = t.Object(relation, closed);
export type Relation = Static<typeof Relation>;

export const RelationPage = t.Object({ name, items: t.Array(Relation), total, next_cursor }, closed);
export type RelationPage = Static<typeof RelationPage>;

export const NewRelation = t.Object(
  {
    target: EntityName,
    type: RelationType,
    direction: t.Optional(oneOf(["outgoing", "incoming"], { description: "Seen from the entity. Default outgoing." })),
    memory_id: t.Optional(
      t.String({ format: "uuid", description: "The memory that says so; its space is the relation's." }),
    ),
    access_entity: t.Optional(
      t.String({
        minLength: 1,
        maxLength: 512,
        description:
          "Space: that of memory_id, else user:<sub>; team:…, project:…, org:…, or auto for the one shared space.",
      }),
    ),
  },
  closed,
);
export type NewRelation = Static<typeof NewRelation>;
export const StoredRelation = t.Object({ ...relation, duplicate: t.Optional(t.Literal(true)) }, closed);
export type StoredRelation = Static<typeof StoredRelation>;
export const ByRelation = t.Object({ name: EntityName, id: t.String({ format: "uuid" }) }, closed);

export const EntityDetail = t.Object(
  {
    name,
    other_names: t.Array(t.String(), { description: "What was merged into it, up to 50." }),
    memory_count,
    relation_count: t.Number(),
    network: t.Array(Connection, { description: "The 10 it is most mentioned together with." }),
    relations: t.Array(Relation, { description: "The 10 newest." }),
  },
  closed,
);
export type EntityDetail = Static<typeof EntityDetail>;

export const EntityMemoriesQuery = t.Object(
  { limit: t.Optional(limitOf(100, 20)), cursor: t.Optional(Cursor) },
  closed,
);
export const EntityMemories = t.Object(
  {
    name,
    items: t.Array(Memory),
    total: nullable(t.Number({ description: "Exact to 10000; null with a cursor." })),
    total_is: nullable(oneOf(["exact", "at_least"])),
    next_cursor,
  },
  closed,
);
export type EntityMemories = Static<typeof EntityMemories>;

/** Most hops of a path. A hop goes from one entity to the next. */
export const MAX_HOPS = 6;
export const ByPath = t.Object({ a: EntityName, b: EntityName }, closed);
export const PathQuery = t.Object(
  { max_hops: t.Optional(limitOf(MAX_HOPS, MAX_HOPS, "From one entity to the next is a hop.")) },
  closed,
);

const PathMemory = t.Object(
  { id: Id, category: t.String(), access_entity: t.String(), preview: t.String(), created_at: Instant },
  closed,
);
const Step = t.Object(
  {
    from: t.String(),
    to: t.String(),
    memory_count: t.Number({ description: "Active memories that mention both." }),
    memories: t.Array(PathMemory, { description: "The newest of them, up to 3." }),
    relations: t.Array(
      t.Object(
        { id: t.String({ format: "uuid" }), type: t.String(), direction: oneOf(["outgoing", "incoming"]) },
        closed,
      ),
      { description: "Between the two, up to 3." },
    ),
  },
  closed,
);
export type Step = Static<typeof Step>;

export const EntityPath = t.Object(
  {
    entity_a: t.String(),
    entity_b: t.String(),
    hops: nullable(t.Number({ description: "null: none within max_hops." })),
    entities: t.Array(t.String(), { description: "From the one to the other." }),
    steps: t.Array(Step),
    is_cut: t.Boolean({ description: "Whether the search went round what is mentioned too often to be followed." }),
  },
  closed,
);
export type EntityPath = Static<typeof EntityPath>;

export const CentralityQuery = t.Object({ limit: t.Optional(limitOf(100, 20)) }, closed);
export const Centrality = t.Object(
  {
    items: t.Array(
      t.Object(
        {
          name,
          connections: t.Number({ description: "Entities it is mentioned together with." }),
          mention_count: t.Number({ description: "Memories it shares, summed over these." }),
          memory_count,
        },
        closed,
      ),
    ),
    total,
    is_cut,
  },
  closed,
);
export type Centrality = Static<typeof Centrality>;

export const PageRankQuery = t.Object({ limit: t.Optional(limitOf(100, 50)) }, closed);
export const PageRank = t.Object(
  {
    items: t.Array(t.Object({ name, score: t.Number({ description: "All of them sum to 1." }), memory_count }, closed)),
    total,
    is_cut,
  },
  closed,
);
export type PageRank = Static<typeof PageRank>;

export { SpaceName };
