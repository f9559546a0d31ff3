import { Elysia } from "elysia";
import type { Database } from "../db.ts";
import { described } from "../http/described.ts";
import { writeOptions } from "../http/preconditions.ts";
import { signedIn } from "../http/signed_in.ts";
import { aggregate } from "./aggregate.ts";
import {
  CommunitiesQuery,
  Connectivity,
  ConnectivityQuery,
  EntityCommunities,
  MemoryCommunities,
  MemoryCommunitiesQuery,
  SimilarEntities,
  SimilarityQuery,
} from "./analytics_schema.ts";
import { entityCommunities, memoryCommunities } from "./communities.ts";
import { connectivity } from "./connectivity.ts";
import { ByEvent, Event, NewEvent, Timeline, TimelineQuery } from "./event_schema.ts";
import { addEvent, deleteEvent } from "./events.ts";
import { findEntities, findMemories } from "./find.ts";
import { relatedMemories } from "./related.ts";
import {
  Aggregate,
  AggregateQuery,
  ByDimension,
  ById,
  ByTag,
  FindEntityQuery,
  FindQuery,
  FoundEntities,
  FoundMemories,
  GraphHealth,
  GraphStats,
  PairsQuery,
  RelatedMemories,
  RelatedQuery,
  RelatedTags,
  RelatedTagsQuery,
  SimilarMemories,
  SimilarQuery,
  Subgraph,
  SubgraphQuery,
  TagPairs,
} from "./schema.ts";
import { graphStats } from "./service.ts";
import { similarMemories } from "./similar.ts";
import { similarEntities } from "./similarity.ts";
import { memorySubgraph } from "./subgraph.ts";
import { relatedTags, tagPairs } from "./tags.ts";
import { timeline } from "./timeline.ts";

const told = (summary: string) => ({ summary, tags: ["graph"] });

/** Public. The graph has no store of its own: it is well when the database answers. */
export const graphHealthRoutes = (database: Database) =>
  new Elysia({ name: "graph-health", prefix: "/api/v1/graph", normalize: false }).get(
    "/health",
    async () => {
      await database.schemaState();
      return { status: "ok" as const };
    },
    { response: { 200: GraphHealth }, detail: told("Whether the graph can be asked") },
  );

export const graphRoutes = new Elysia({ name: "graph", prefix: "/api/v1/graph", normalize: false })
  .use(signedIn)
  .get("/stats", ({ caller }) => graphStats(caller), {
    response: { 200: GraphStats },
    detail: told("How much there is in the graph"),
  })
  .get("/aggregate/:dimension", ({ caller, params, query }) => aggregate(caller, params.dimension, query), {
    params: ByDimension,
    query: AggregateQuery,
    response: { 200: Aggregate },
    detail: told("Active memories counted by one of their properties"),
  })
  .get("/tags/cooccurrence", ({ caller, query }) => tagPairs(caller, query), {
    query: PairsQuery,
    response: { 200: TagPairs },
    detail: told("Tags that go together"),
  })
  .get("/tags/:key/related", ({ caller, params, query }) => relatedTags(caller, params.key, query), {
    params: ByTag,
    query: RelatedTagsQuery,
    response: { 200: RelatedTags },
    detail: told("Tags that go with one"),
  })
  .get("/search/memories", ({ caller, query }) => findMemories(caller, query), {
    query: FindQuery,
    response: { 200: FoundMemories },
    detail: told("Find active memories by their words, in brief"),
  })
  .get("/search/entities", ({ caller, query }) => findEntities(caller, query), {
    query: FindEntityQuery,
    response: { 200: FoundEntities },
    detail: told("Find entities by their names, in any spelling"),
  })
  .get("/timeline", ({ caller, query }) => timeline(caller, query), {
    query: TimelineQuery,
    response: { 200: Timeline },
    detail: told("What happened when, the earliest first"),
  })
  .post(
    "/events",
    async ({ caller, body, request, status }) => status(201, await addEvent(caller, body, writeOptions(request))),
    {
      body: NewEvent,
      response: { 201: Event },
      detail: described({ ...told("Put an event on the timeline"), "x-retriable": true }),
    },
  )
  .delete(
    "/events/:id",
    async ({ caller, params, request }) => {
      await deleteEvent(caller, params.id, writeOptions(request));
      return new Response(null, { status: 204 });
    },
    { params: ByEvent, detail: described({ ...told("Take an event off the timeline"), "x-retriable": true }) },
  )
  .get("/analytics/communities/entities", ({ caller, query }) => entityCommunities(caller, query), {
    query: CommunitiesQuery,
    response: { 200: EntityCommunities },
    detail: told("Entities that are mentioned together more than with others"),
  })
  .get("/analytics/communities/memories", ({ caller, query }) => memoryCommunities(caller, query), {
    query: MemoryCommunitiesQuery,
    response: { 200: MemoryCommunities },
    detail: told("Memories that hang together by what they share"),
  })
  .get("/analytics/similarity/entities", ({ caller, query }) => similarEntities(caller, query), {
    query: SimilarityQuery,
    response: { 200: SimilarEntities },
    detail: told("Entities that the same memories mention"),
  })
  .get("/analytics/connectivity", ({ caller, query }) => connectivity(caller, query), {
    query: ConnectivityQuery,
    response: { 200: Connectivity },
    detail: told("Memories that are tied to most"),
  });

/** What lies around one memory. */
export const memoryGraphRoutes = new Elysia({ name: "memory-graph", prefix: "/api/v1/memories/:id", normalize: false })
  .use(signedIn)
  .get("/related", ({ caller, params, query }) => relatedMemories(caller, params.id, query), {
    params: ById,
    query: RelatedQuery,
    response: { 200: RelatedMemories },
    detail: told("Memories that share something with one"),
  })
  .get("/similar", ({ caller, params, query }) => similarMemories(caller, params.id, query), {
    params: ById,
    query: SimilarQuery,
    response: { 200: SimilarMemories },
    detail: told("Memories that say nearly the same as one"),
  })
  .get(
    "/graph",
    ({ caller, params, query: { depth, ...query } }) =>
      memorySubgraph(caller, params.id, { ...query, depth: depth === "1" ? 1 : 2 }),
    {
      params: ById,
      query: SubgraphQuery,
      response: { 200: Subgraph },
      detail: told("What lies around a memory: nodes and edges"),
    },
  );
