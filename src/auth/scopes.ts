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
  "GET /openapi.json": "public",
  "GET /docs": "public",
  "GET /api/v1/memories": ["memories:read"],
  "POST /api/v1/memories": ["memories:write"],
  "DELETE /api/v1/memories": ["memories:delete"],
  "POST /api/v1/memories/batch": ["memories:write"],
  "GET /api/v1/memories/:id": ["memories:read"],
  "GET /api/v1/memories/:id/history": ["memories:read"],
  "PUT /api/v1/memories/:id": ["memories:write"],
  "PATCH /api/v1/memories/:id": ["memories:write"],
  "DELETE /api/v1/memories/:id": ["memories:delete"],
  "POST /api/v1/search": ["memories:read"],
  "POST /api/v1/search/lexical": ["memories:read"],
  "POST /api/v1/search/semantic": ["memories:read"],
  "GET /api/v1/tokens/me": [],
  "POST /api/v1/tokens/revoke": [], // another's needs admin:write (auth/service.ts)
  "GET /api/v1/audit": ["admin:read"],
  "GET /.well-known/oauth-protected-resource": "public",
  "GET /.well-known/oauth-protected-resource/mcp": "public",
  "GET /mcp/health": "public",
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
  get_embedder_info: ["admin:read"],
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
