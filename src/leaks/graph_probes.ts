import { DIMENSIONS } from "../graph/schema.ts";
import { get, post, query } from "./asks.ts";
import type { RouteProbe, ToolProbe } from "./probe.ts";

const MEMORIES = "/api/v1/memories";
const GRAPH = "/api/v1/graph";

/** What lies around memories: the victim's, and the caller's own. */
const around = (what: string, parameters: Record<string, string>[]): RouteProbe => {
  const asks = ({ ids }: { ids: readonly string[] }) =>
    ids.flatMap((id) => parameters.map((one) => query(`${MEMORIES}/${id}/${what}`, one)));
  return { needs: ["memories:read", "graph:read"], reads: true, asks, views: asks };
};

/** A list that is asked for without a word of what it is to be about. */
const whole = (path: string, ...parameters: Record<string, string>[]): RouteProbe => {
  const asks = () => parameters.map((one) => query(`${GRAPH}/${path}`, one));
  return { needs: ["graph:read"], reads: true, asks, views: asks };
};

/** One that tells what memories say. */
const telling = (...asked: Parameters<typeof whole>): RouteProbe => ({
  ...whole(...asked),
  needs: ["memories:read", "graph:read"],
});

/** The routes of the graph. */
export const GRAPH_ROUTE_PROBES: Readonly<Record<string, RouteProbe>> = {
  "GET /api/v1/memories/:id/related": around("related", [{ limit: "100" }, { via: "entity,tag", limit: "2" }]),
  "GET /api/v1/memories/:id/similar": around("similar", [{ limit: "50", min_score: "0" }]),
  "GET /api/v1/memories/:id/graph": around("graph", [{ related_limit: "200" }, { depth: "1", via: "evidence" }]),
  "GET /api/v1/graph/health": { needs: "public", reads: true, asks: () => [get(`${GRAPH}/health`)] },
  "GET /api/v1/graph/stats": whole("stats", {}),
  "GET /api/v1/graph/aggregate/:dimension": {
    needs: ["graph:read"],
    reads: true,
    asks: () => DIMENSIONS.map((dimension) => query(`${GRAPH}/aggregate/${dimension}`, { limit: "200" })),
    views: () => DIMENSIONS.map((dimension) => query(`${GRAPH}/aggregate/${dimension}`, { limit: "3" })),
  },
  "GET /api/v1/graph/tags/cooccurrence": whole("tags/cooccurrence", { min_count: "1", limit: "200" }, {}),
  "GET /api/v1/graph/tags/:key/related": {
    needs: ["graph:read"],
    reads: true,
    asks: ({ tag }) => [get(`${GRAPH}/tags/${encodeURIComponent(tag)}/related`)],
  },
  "GET /api/v1/graph/search/memories": {
    needs: ["memories:read", "graph:read"],
    reads: true,
    asks: ({ content, entity }) => [content, `"${content}" ${entity}`].map((words) => search("memories", words)),
    views: ({ words }) => [search("memories", words)],
  },
  "GET /api/v1/graph/search/entities": {
    needs: ["graph:read"],
    reads: true,
    asks: ({ entity, artifact_ref }) => [entity, entity.slice(4), artifact_ref].map((name) => search("entities", name)),
    views: ({ words }) => [search("entities", words)],
  },
  "GET /api/v1/graph/timeline": {
    needs: ["memories:read", "graph:read"],
    reads: true,
    asks: ({ entity, event_id }) => [
      query(`${GRAPH}/timeline`, { limit: "200" }),
      query(`${GRAPH}/timeline`, { entity_name: entity }),
      query(`${GRAPH}/timeline`, { cursor: Buffer.from(`2024 ${event_id}`).toString("base64url") }),
    ],
    views: () => [query(`${GRAPH}/timeline`, { limit: "200" }), query(`${GRAPH}/timeline`, { event_types: "release" })],
  },
  "POST /api/v1/graph/events": {
    needs: ["graph:write"],
    reads: false,
    asks: ({ ids, own_id, content, entity, space, key }) => {
      const event = { name: `of ${content}`, event_type: "release", start_date: "2025" };
      return [
        ...ids.map((memory_id) => post(`${GRAPH}/events`, { ...event, memory_id })),
        post(`${GRAPH}/events`, { ...event, access_entity: space }),
        post(
          `${GRAPH}/events`,
          { ...event, memory_id: own_id, entities: [entity] },
          { "idempotency-key": `event-${key}` },
        ),
        post(`${GRAPH}/events`, { ...event, entities: [entity] }),
      ];
    },
  },
  "DELETE /api/v1/graph/events/:id": {
    needs: ["graph:write"],
    reads: false,
    asks: ({ event_id, id }) => [event_id, id].map((one) => ({ method: "DELETE", path: `${GRAPH}/events/${one}` })),
  },
  "GET /api/v1/graph/analytics/communities/entities": whole("analytics/communities/entities", {
    limit: "100",
    member_limit: "100",
  }),
  "GET /api/v1/graph/analytics/communities/memories": telling(
    "analytics/communities/memories",
    { limit: "100", member_limit: "100" },
    { via: "tag,evidence" },
  ),
  "GET /api/v1/graph/analytics/similarity/entities": {
    needs: ["graph:read"],
    reads: true,
    asks: ({ entity }) => [
      query(`${GRAPH}/analytics/similarity/entities`, { min_count: "1", min_score: "0", limit: "100" }),
      query(`${GRAPH}/analytics/similarity/entities`, { min_count: "1", entity_name: entity }),
    ],
    views: () => [query(`${GRAPH}/analytics/similarity/entities`, { min_count: "1", min_score: "0", limit: "100" })],
  },
  "GET /api/v1/graph/analytics/connectivity": telling("analytics/connectivity", { limit: "100" }),
};

const search = (what: string, words: string) => query(`${GRAPH}/search/${what}`, { query: words });

/** Calls about memories: the victim's, and the caller's own. */
const aboutMemories = (more: object): ToolProbe => {
  const asks = ({ ids }: { ids: readonly string[] }) => ids.map((memory_id) => ({ memory_id, ...more }));
  return { needs: ["memories:read", "graph:read"], reads: true, asks, views: asks };
};

/** The tools of the graph. */
export const GRAPH_TOOL_PROBES: Readonly<Record<string, ToolProbe>> = {
  graph_explore: {
    needs: ["memories:read", "graph:read"],
    reads: true,
    asks: ({ id, entity }) => [
      ...["related", "similar", "subgraph"].map((question) => ({ question, memory_id: id })),
      { question: "network", entity_name: entity },
      { question: "path", entity_a: entity, entity_b: entity.toUpperCase() },
      { question: "timeline", entity_name: entity },
    ],
    views: ({ ids }) => [
      ...ids.slice(0, 2).map((memory_id) => ({ question: "subgraph", memory_id })),
      { question: "timeline" },
    ],
  },
  graph_related_memories: aboutMemories({ limit: 100 }),
  graph_subgraph: aboutMemories({ depth: 2 }),
  graph_similar_memories: aboutMemories({ min_score: 0 }),
  graph_aggregate: {
    needs: ["graph:read"],
    reads: true,
    asks: () => DIMENSIONS.map((group_by) => ({ group_by, limit: 200 })),
    views: () => [{ group_by: "entity" }, { group_by: "tag" }],
  },
  graph_tag_cooccurrence: {
    needs: ["graph:read"],
    reads: true,
    asks: () => [{ min_count: 1, limit: 200 }],
    views: () => [{ min_count: 1 }],
  },
  graph_related_tags: { needs: ["graph:read"], reads: true, asks: ({ tag }) => [{ tag_key: tag }] },
  graph_biography_timeline: {
    needs: ["memories:read", "graph:read"],
    reads: true,
    asks: ({ entity }) => [{ limit: 200 }, { entity_name: entity }],
    views: () => [{ limit: 200 }],
  },
};
