import { type Static, t } from "elysia";
import { EntityName } from "../entities/schema.ts";
import { closed, limitOf } from "../schema.ts";
import { Glimpse, is_cut, LIMITS, limit, min_count, name, share, total, Via } from "./schema.ts";

export const CommunitiesQuery = t.Object(
  {
    limit: limit("communities"),
    member_limit: t.Optional(limitOf(LIMITS.members[0], LIMITS.members[1], "Members shown of each.")),
  },
  closed,
);
export const EntityCommunities = t.Object(
  {
    items: t.Array(
      t.Object({ size: t.Number(), members: t.Array(t.Object({ name, memory_count: t.Number() }, closed)) }, closed),
    ),
    total,
    modularity: t.Number({ description: "How clearly they part, up to 1." }),
    is_cut,
  },
  closed,
);
export type EntityCommunities = Static<typeof EntityCommunities>;

export const MemoryCommunitiesQuery = t.Object({ ...CommunitiesQuery.properties, via: t.Optional(Via) }, closed);
export const MemoryCommunities = t.Object(
  {
    items: t.Array(t.Object({ size: t.Number(), members: t.Array(Glimpse) }, closed)),
    total,
    alone: t.Number({ description: "Memories that share nothing with another." }),
    is_cut,
  },
  closed,
);
export type MemoryCommunities = Static<typeof MemoryCommunities>;

export const SimilarityQuery = t.Object(
  {
    entity_name: t.Optional(EntityName),
    min_score: t.Optional(share(0.1, "Only what reaches this.")),
    min_count: min_count(2),
    limit: limit("similarity"),
  },
  closed,
);
export const SimilarEntities = t.Object(
  {
    items: t.Array(
      t.Object(
        {
          entity1: t.String(),
          entity2: t.String(),
          score: t.Number({ minimum: 0, maximum: 1, description: "Memories of both by memories of either." }),
          memory_count: t.Number({ description: "Memories of both." }),
        },
        closed,
      ),
    ),
    total,
  },
  closed,
);
export type SimilarEntities = Static<typeof SimilarEntities>;

export const ConnectivityQuery = t.Object({ limit: limit("connectivity") }, closed);
export const Connectivity = t.Object(
  {
    items: t.Array(
      t.Object(
        {
          ...Glimpse.properties,
          entity_count: t.Number(),
          neighbour_count: t.Number({ description: "Other memories that mention one of its entities." }),
          connectivity: t.Number({ description: "The sum of both." }),
        },
        closed,
      ),
    ),
    total,
    is_cut,
  },
  closed,
);
export type Connectivity = Static<typeof Connectivity>;
