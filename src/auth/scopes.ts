import { insufficientScope } from "../problem.ts";

export const SCOPES = [
  "memories:read",
  "memories:write",
  "memories:delete",
  "apps:read",
  "apps:write",
  "apps:delete",
  "graph:read",
  "graph:write",
  "entities:read",
  "entities:write",
  "stats:read",
  "backup:read",
  "backup:write",
  "search:read",
  "admin:read",
  "admin:write",
  "feedback:read",
  "feedback:write",
  "experiments:read",
  "experiments:write",
  "gdpr:read",
  "gdpr:delete",
] as const;
export type Scope = (typeof SCOPES)[number];

/** What a route or tool needs: nothing at all (public), any valid token (an empty list), or every scope listed. */
export type Needs = "public" | readonly Scope[];

/** The one table of routes. A route without a line here stops the start; a test holds both sides together. */
export const ROUTE_NEEDS: Record<string, Needs> = {
  "GET /health/live": "public",
  "GET /health/ready": "public",
  "GET /health/deps": "public",
  "GET /metrics": "public", // to this machine, or with METRICS_TOKEN (http/metrics.ts)
  "GET /openapi.json": "public",
  "GET /docs": "public",
  "GET /api/v1/memories": ["memories:read"],
  "POST /api/v1/memories": ["memories:write"],
  "DELETE /api/v1/memories": ["memories:delete"],
  "POST /api/v1/memories/batch": ["memories:write"],
  "POST /api/v1/memories/actions/archive": ["memories:write"],
  "POST /api/v1/memories/actions/pause": ["memories:write"],
  "POST /api/v1/memories/actions/restore": ["memories:write"],
  "POST /api/v1/memories/filter": ["memories:read"],
  "GET /api/v1/memories/categories": ["memories:read"],
  "GET /api/v1/memories/:id": ["memories:read"],
  "GET /api/v1/memories/:id/access-log": ["memories:read"],
  "GET /api/v1/memories/:id/history": ["memories:read"],
  "GET /api/v1/memories/:id/related": ["memories:read", "graph:read"],
  "GET /api/v1/memories/:id/similar": ["memories:read", "graph:read"],
  "GET /api/v1/memories/:id/graph": ["memories:read", "graph:read"],
  "PUT /api/v1/memories/:id": ["memories:write"],
  "PATCH /api/v1/memories/:id": ["memories:write"],
  "DELETE /api/v1/memories/:id": ["memories:delete"],
  "GET /api/v1/graph/health": "public",
  "GET /api/v1/graph/stats": ["graph:read"],
  "GET /api/v1/graph/aggregate/:dimension": ["graph:read"],
  "GET /api/v1/graph/tags/cooccurrence": ["graph:read"],
  "GET /api/v1/graph/tags/:key/related": ["graph:read"],
  "GET /api/v1/graph/search/memories": ["memories:read", "graph:read"], // all search of memories needs memories:read
  "GET /api/v1/graph/search/entities": ["graph:read"],
  "GET /api/v1/graph/timeline": ["memories:read", "graph:read"], // what memories say comes back, here and below
  "POST /api/v1/graph/events": ["graph:write"],
  "DELETE /api/v1/graph/events/:id": ["graph:write"],
  "GET /api/v1/graph/analytics/communities/entities": ["graph:read"],
  "GET /api/v1/graph/analytics/communities/memories": ["memories:read", "graph:read"],
  "GET /api/v1/graph/analytics/similarity/entities": ["graph:read"],
  "GET /api/v1/graph/analytics/connectivity": ["memories:read", "graph:read"],
  "POST /api/v1/search": ["memories:read"],
  "POST /api/v1/search/lexical": ["memories:read"],
  "POST /api/v1/search/semantic": ["memories:read"],
  "GET /api/v1/apps": ["apps:read"],
  "GET /api/v1/apps/:id": ["apps:read"],
  "GET /api/v1/apps/:id/memories": ["apps:read"],
  "GET /api/v1/apps/:id/accessed": ["apps:read"],
  "PUT /api/v1/apps/:id": ["apps:write"],
  "GET /api/v1/stats": ["stats:read"],
  "GET /api/v1/config": ["admin:read"],
  "PUT /api/v1/config": ["admin:write"],
  "PATCH /api/v1/config": ["admin:write"],
  "POST /api/v1/config/reset": ["admin:write"],
  "GET /api/v1/entities": ["entities:read"],
  "GET /api/v1/entities/analytics/centrality": ["entities:read"],
  "GET /api/v1/entities/analytics/pagerank": ["entities:read"],
  "GET /api/v1/entities/normalization/duplicates": ["entities:read"],
  "GET /api/v1/entities/normalization/semantic-duplicates": ["entities:read"],
  "POST /api/v1/entities/normalization/merge": ["entities:write"],
  "POST /api/v1/entities/normalization/semantic-merge": ["entities:write"],
  "POST /api/v1/entities/normalization/undo/:merge_id": ["entities:write"],
  "GET /api/v1/entities/path/:a/:b": ["entities:read", "memories:read"], // what memories say comes back
  "GET /api/v1/entities/:name": ["entities:read"],
  "GET /api/v1/entities/:name/network": ["entities:read"],
  "GET /api/v1/entities/:name/relations": ["entities:read"],
  "POST /api/v1/entities/:name/relations": ["entities:write"],
  "DELETE /api/v1/entities/:name/relations/:id": ["entities:write"],
  "GET /api/v1/entities/:name/memories": ["entities:read", "memories:read"],
  "GET /api/v1/tokens/me": [],
  "POST /api/v1/tokens/revoke": [], // another's needs admin:write (auth/service.ts)
  "GET /api/v1/audit": ["admin:read"],
  "GET /.well-known/oauth-protected-resource": "public",
  "GET /.well-known/oauth-protected-resource/mcp": "public",
  "GET /mcp/health": "public",
  "POST /api/v1/backup/export": ["backup:read"],
  "POST /api/v1/backup/import": ["backup:write"],
  "POST /mcp": [],
  "GET /mcp/:client/sse/:user": [],
  "POST /mcp/messages": [],
  "POST /mcp/:client/sse/:user/messages": [],
};

/** The one table of tools. */
export const TOOL_NEEDS: Record<string, readonly Scope[]> = {
  add_memories: ["memories:write"],
  search_memory: ["memories:read"],
  list_memories: ["memories:read"],
  get_memory: ["memories:read"],
  update_memory: ["memories:write"],
  delete_memories: ["memories:delete"],
  delete_all_memories: ["memories:delete"],
  add_memories_status: ["memories:read"],
  graph_path_between_entities: ["entities:read", "memories:read"],
  graph_entity_network: ["entities:read"],
  graph_entity_relations: ["entities:read"],
  graph_normalize_entities: ["entities:write"],
  graph_normalize_entities_semantic: ["entities:write"],
  get_embedder_info: ["admin:read"],
  graph_explore: ["memories:read", "graph:read"],
  graph_related_memories: ["memories:read", "graph:read"],
  graph_subgraph: ["memories:read", "graph:read"],
  graph_similar_memories: ["memories:read", "graph:read"],
  graph_aggregate: ["graph:read"],
  graph_tag_cooccurrence: ["graph:read"],
  graph_related_tags: ["graph:read"],
  graph_biography_timeline: ["memories:read", "graph:read"],
  whoami: [],
};

/** The scopes that open something today; the others are reserved. */
export const SCOPES_IN_USE: readonly Scope[] = SCOPES.filter((scope) =>
  [...Object.values(ROUTE_NEEDS), ...Object.values(TOOL_NEEDS)].some((needs) => needs.includes(scope)),
);

/** Whether every scope that is needed is held. */
export const holds = (held: ReadonlySet<string>, needed: readonly Scope[]) => needed.every((scope) => held.has(scope));

/** Throws INSUFFICIENT_SCOPE naming what is missing. Scopes match exactly; none implies another. */
export function requireScopes(held: ReadonlySet<string>, needed: readonly Scope[]) {
  const missing = needed.filter((scope) => !held.has(scope));
  if (missing.length > 0) throw insufficientScope(missing);
}
