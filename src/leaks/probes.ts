import type { Needs, Scope } from "../auth/scopes.ts";
import { get, post, query } from "./asks.ts";
import { ENTITY_ROUTE_PROBES, ENTITY_TOOL_PROBES } from "./entity_probes.ts";
import { GRAPH_ROUTE_PROBES, GRAPH_TOOL_PROBES } from "./graph_probes.ts";
import type { Ask } from "./world.ts";

/**
 * What a caller aims at: things of a victim that the caller may not see. Its ghost has the same shape and stands for
 * nothing there is; the answers to both must be one and the same.
 */
export interface Aim {
  readonly ids: readonly string[];
  /** The first of them. */
  readonly id: string;
  /** What a memory of the victim says, word for word, and the key it was stored with. */
  readonly content: string;
  readonly key: string;
  readonly entity: string;
  readonly thread: string;
  readonly tag: string;
  readonly artifact_ref: string;
  /** A space and a name that are not the caller's. */
  readonly space: string;
  readonly sub: string;
  /** 32 hexadecimal digits. */
  readonly session_id: string;
  readonly jti: string;
  readonly app_id: string;
  readonly relation_id: string;
  readonly merge_id: string;
  /** An event on the timeline of one of the victim's spaces. */
  readonly event_id: string;
  /** A memory of the caller's own, to bring into touch with the victim's. */
  readonly own_id: string;
}

/** What a caller has of its own, for lists, searches and counts: these must not change by what others store. */
export interface Own {
  /** Words of the caller's own memories, and of others'. */
  readonly words: string;
  readonly ids: readonly string[];
}

interface Probe {
  /** What a token must hold: written out here a second time, so that a line forgotten in src/auth/scopes.ts shows. */
  readonly needs: Needs;
  /** It changes nothing: it may be asked of a deployment. */
  readonly reads: boolean;
  /** It shows what was done in the whole org: asked about strangers alone, and colleagues' ids and names are no leak in it. */
  readonly is_of_org?: true;
}

/** How to call one route. */
export interface RouteProbe extends Probe {
  asks(aim: Aim): Ask[];
  views?(own: Own): Ask[];
}

/** How to call one tool, by its arguments, or one of MCP's other methods, by its parameters: call by call. */
export interface ToolProbe extends Probe {
  readonly needs: readonly Scope[];
  asks(aim: Aim): object[];
  views?(own: Own): object[];
}

/** A call of one of MCP's methods as a JSON-RPC message. */
export const methodCall = (method: string, params: object) => ({ jsonrpc: "2.0", id: "call", method, params });

/** An import of an archive with these lines. */
const archive = (query: string, lines: readonly object[]): Ask => ({
  method: "POST",
  path: `${BACKUP}/import${query}`,
  archive: lines,
});

/** A call of a tool as a JSON-RPC message. */
export const toolCall = (name: string, args: object) => methodCall("tools/call", { name, arguments: args });

/** What opens the metrics of the world that is attacked; elsewhere it opens nothing. */
export const METRICS_TOKEN = "nobody-has-this-one";

const MEMORIES = "/api/v1/memories";
const APPS = "/api/v1/apps";
const BACKUP = "/api/v1/backup";
const CONFIG = "/api/v1/config";
const LIST_TOOLS = methodCall("tools/list", {});

const search = (path: string): RouteProbe => ({
  needs: ["memories:read"],
  reads: true,
  asks: ({ content, entity, tag, artifact_ref, space }) => [
    post(path, { query: content, limit: 50 }),
    post(path, { query: content, filter: { entity, tag: [tag, "none"], match: "any" } }),
    post(path, { query: content, filter: { artifact_ref } }),
    post(path, { query: `"${content}" ${entity}`, filter: { state: ["active", "archived", "paused"] } }),
    post(path, { query: content, filter: { access_entity: space } }),
    post(path, { query: entity, context: { entity, tag, artifact_ref, half_life_days: 36_500 }, explain: true }),
    post(path, { query: content, detail: "preview", max_tokens: 500 }),
  ],
  views: ({ words }) => [
    post(path, { query: words, limit: 50, explain: true }),
    post(path, { query: words, limit: 3, filter: { state: ["active", "archived"], category: "note" } }),
    post(path, { query: words, detail: "ids", max_tokens: 200 }),
  ],
});

const changes = (method: "PUT" | "PATCH"): RouteProbe => ({
  needs: ["memories:write"],
  reads: false,
  asks: ({ ids, id, own_id, content, key, space }): Ask[] => [
    ...ids.map((one) => ({ method, path: `${MEMORIES}/${one}`, body: { category: "decision" } })),
    { method, path: `${MEMORIES}/${id}`, body: { content: "taken over" }, headers: { "if-match": '"1"' } },
    { method, path: `${MEMORIES}/${id}`, body: { access_entity: space } },
    { method, path: `${MEMORIES}/${own_id}`, body: { access_entity: space } },
    ...ids.map((supersedes) => ({ method, path: `${MEMORIES}/${own_id}`, body: { supersedes } })),
    { method, path: `${MEMORIES}/${own_id}`, body: { content }, headers: { "idempotency-key": `${method}-${key}` } },
  ],
});

const acting = (action: "archive" | "pause" | "restore"): RouteProbe => ({
  needs: ["memories:write"],
  reads: false,
  asks: ({ ids, app_id, key }) => [
    post(`${MEMORIES}/actions/${action}`, { memory_ids: ids }),
    post(
      `${MEMORIES}/actions/${action}`,
      { memory_ids: ids, category: "note" },
      { "idempotency-key": `${action}-${key}` },
    ),
    post(`${MEMORIES}/actions/${action}`, { app_id }),
  ],
});

/** One entry for each registered route, by its key in ROUTE_NEEDS. */
export const ROUTE_PROBES: Readonly<Record<string, RouteProbe>> = {
  "GET /health/live": { needs: "public", reads: true, asks: () => [get("/health/live")] },
  "GET /health/ready": { needs: "public", reads: true, asks: () => [get("/health/ready")] },
  "GET /health/deps": { needs: "public", reads: true, asks: () => [get("/health/deps")] },
  "GET /metrics": {
    needs: "public",
    reads: true,
    // From elsewhere: on the machine itself a deployment shows them to anybody, and each question changes them.
    asks: () => [
      { ...get("/metrics"), headers: { authorization: `Bearer ${METRICS_TOKEN}`, "x-forwarded-for": "192.0.2.1" } },
    ],
  },
  "GET /openapi.json": { needs: "public", reads: true, asks: () => [get("/openapi.json")] },
  "GET /docs": { needs: "public", reads: true, asks: () => [get("/docs")] },

  "GET /api/v1/memories": {
    needs: ["memories:read"],
    reads: true,
    asks: ({ content, entity, tag, artifact_ref, space, app_id, id }) => [
      query(MEMORIES, { states: "active,paused,archived", size: "100" }),
      query(MEMORIES, { search_query: content }),
      query(MEMORIES, { search_query: `"${content}"`, entity }),
      query(MEMORIES, { entity }),
      query(MEMORIES, { tag }),
      query(MEMORIES, { artifact_ref }),
      query(MEMORIES, { access_entity: space }),
      query(MEMORIES, { app_id }),
      query(MEMORIES, { cursor: Buffer.from(`9999-01-01T00:00:00Z ${id}`).toString("base64url") }),
    ],
    views: ({ words }) => [
      query(MEMORIES, { size: "100" }),
      query(MEMORIES, { size: "2", page: "2" }),
      query(MEMORIES, { size: "3", page: "99" }),
      query(MEMORIES, { states: "active,paused,archived", sort_column: "content", size: "100" }),
      query(MEMORIES, { sort_column: "updated_at", size: "3" }),
      query(MEMORIES, { category: "note", scope: "user" }),
      query(MEMORIES, { search_query: words, size: "2" }),
      query(MEMORIES, { search_query: words, size: "3", page: "2" }),
    ],
  },
  "POST /api/v1/memories": {
    needs: ["memories:write"],
    reads: false,
    asks: ({ ids, content, key, space, entity, thread }) => [
      post(MEMORIES, { content }, { "idempotency-key": key }),
      post(MEMORIES, { content }),
      post(MEMORIES, { content: `beside ${content}`, access_entity: space }),
      post(MEMORIES, { content: `about ${content}`, entity, thread }, { "idempotency-key": `again-${key}` }),
      ...ids.map((supersedes) => post(MEMORIES, { content: `instead of ${content}`, supersedes })),
    ],
  },
  "POST /api/v1/memories/batch": {
    needs: ["memories:write"],
    reads: false,
    asks: ({ content, key, space }) => [
      post(
        `${MEMORIES}/batch`,
        { memories: [{ content }, { content: `batch ${content}` }] },
        { "idempotency-key": `batch-${key}` },
      ),
      post(`${MEMORIES}/batch`, { memories: [{ content: `one ${content}` }, { content, access_entity: space }] }),
    ],
  },
  "DELETE /api/v1/memories": {
    needs: ["memories:delete"],
    reads: false,
    asks: ({ ids }) => [{ method: "DELETE", path: MEMORIES, body: { memory_ids: ids } }],
  },
  "POST /api/v1/memories/actions/archive": acting("archive"),
  "POST /api/v1/memories/actions/pause": acting("pause"),
  "POST /api/v1/memories/actions/restore": acting("restore"),
  "POST /api/v1/memories/filter": {
    needs: ["memories:read"],
    reads: true,
    asks: ({ content, entity, tag, artifact_ref, space, app_id }) => [
      post(`${MEMORIES}/filter`, { states: ["active", "paused", "archived"], size: 100 }),
      post(`${MEMORIES}/filter`, { search_query: content, entities: [entity] }),
      post(`${MEMORIES}/filter`, { entities: [entity, "nothing"] }),
      post(`${MEMORIES}/filter`, { tag, artifact_ref }),
      post(`${MEMORIES}/filter`, { access_entity: [space], app_ids: [app_id] }),
    ],
    views: ({ words }) => [
      post(`${MEMORIES}/filter`, { size: 2, page: 2, categories: ["note", "decision"] }),
      post(`${MEMORIES}/filter`, { search_query: words, size: 3 }),
    ],
  },
  "GET /api/v1/memories/categories": {
    needs: ["memories:read"],
    reads: true,
    asks: () => [get(`${MEMORIES}/categories`)],
    views: () => [get(`${MEMORIES}/categories`)],
  },
  "GET /api/v1/memories/:id": {
    needs: ["memories:read"],
    reads: true,
    asks: ({ ids }) => ids.map((id) => get(`${MEMORIES}/${id}`)),
    views: ({ ids }) => ids.map((id) => get(`${MEMORIES}/${id}`)),
  },
  "GET /api/v1/memories/:id/access-log": {
    needs: ["memories:read"],
    reads: true,
    asks: ({ ids }) => ids.map((id) => get(`${MEMORIES}/${id}/access-log?size=100`)),
    views: ({ ids }) => ids.map((id) => get(`${MEMORIES}/${id}/access-log?size=2`)),
  },
  "GET /api/v1/memories/:id/history": {
    needs: ["memories:read"],
    reads: true,
    asks: ({ ids }) => ids.map((id) => get(`${MEMORIES}/${id}/history`)),
    views: ({ ids }) => ids.map((id) => get(`${MEMORIES}/${id}/history?size=2`)),
  },
  "PUT /api/v1/memories/:id": changes("PUT"),
  "PATCH /api/v1/memories/:id": changes("PATCH"),
  "DELETE /api/v1/memories/:id": {
    needs: ["memories:delete"],
    reads: false,
    asks: ({ ids, id, key }) => [
      ...ids.map((one) => ({ method: "DELETE", path: `${MEMORIES}/${one}` })),
      {
        method: "DELETE",
        path: `${MEMORIES}/${id}`,
        headers: { "if-match": '"1"', "idempotency-key": `delete-${key}` },
      },
    ],
  },
  ...GRAPH_ROUTE_PROBES,
  "POST /api/v1/search": search("/api/v1/search"),
  "POST /api/v1/search/lexical": search("/api/v1/search/lexical"),
  "POST /api/v1/search/semantic": search("/api/v1/search/semantic"),
  "GET /api/v1/apps": {
    needs: ["apps:read"],
    reads: true,
    asks: ({ thread }) => [query(APPS, { size: "100" }), query(APPS, { name: thread.slice(0, 64) })],
    views: () => [query(APPS, { size: "100" }), query(APPS, { sort_by: "memories", sort_direction: "desc" })],
  },
  "GET /api/v1/apps/:id": { needs: ["apps:read"], reads: true, asks: ({ app_id }) => [get(`${APPS}/${app_id}`)] },
  "GET /api/v1/apps/:id/memories": {
    needs: ["apps:read"],
    reads: true,
    asks: ({ app_id }) => [get(`${APPS}/${app_id}/memories`)],
  },
  "GET /api/v1/apps/:id/accessed": {
    needs: ["apps:read"],
    reads: true,
    asks: ({ app_id }) => [get(`${APPS}/${app_id}/accessed`)],
  },
  "PUT /api/v1/apps/:id": {
    needs: ["apps:write"],
    reads: false,
    asks: ({ app_id }) => [
      { method: "PUT", path: `${APPS}/${app_id}`, body: { is_active: false } },
      { method: "PUT", path: `${APPS}/${app_id}?is_active=true` },
    ],
  },
  "GET /api/v1/stats": {
    needs: ["stats:read"],
    reads: true,
    asks: () => [get("/api/v1/stats?days=366")],
    views: () => [get("/api/v1/stats?days=2")],
  },
  "GET /api/v1/config": {
    needs: ["admin:read"],
    reads: true,
    asks: () => [get(CONFIG)],
    views: () => [get(CONFIG)],
  },
  // Refused: settings are the whole org's, and what is planted there must be as it was at the end. That orgs do not
  // touch each other's is in tests/http/config.test.ts.
  "PUT /api/v1/config": {
    needs: ["admin:write"],
    reads: false,
    asks: ({ content }) => [{ method: "PUT", path: CONFIG, body: { planted: content } }],
  },
  "PATCH /api/v1/config": {
    needs: ["admin:write"],
    reads: false,
    asks: ({ content }) => [{ method: "PATCH", path: CONFIG, body: { planted: content } }],
  },
  "POST /api/v1/config/reset": {
    needs: ["admin:write"],
    reads: false,
    asks: ({ id }) => [post(`${CONFIG}/reset?org=${id}`, undefined)],
  },
  ...ENTITY_ROUTE_PROBES,
  "GET /api/v1/tokens/me": {
    needs: [],
    reads: true,
    asks: () => [get("/api/v1/tokens/me")],
    views: () => [get("/api/v1/tokens/me")],
  },

  "POST /api/v1/tokens/revoke": {
    // Another's token; one's own needs nothing, and would end the caller.
    needs: ["admin:write"],
    reads: false,
    asks: ({ jti }) => [post("/api/v1/tokens/revoke", { jti })],
  },
  "GET /api/v1/audit": {
    needs: ["admin:read"],
    reads: true,
    is_of_org: true,
    asks: ({ ids, session_id }) => [
      ...[...ids, session_id].map((target) => query("/api/v1/audit", { target, size: "100" })),
      query("/api/v1/audit", { action: "planted", size: "100" }),
    ],
  },

  "GET /.well-known/oauth-protected-resource": {
    needs: "public",
    reads: true,
    asks: () => [get("/.well-known/oauth-protected-resource")],
  },
  "GET /.well-known/oauth-protected-resource/mcp": {
    needs: "public",
    reads: true,
    asks: () => [get("/.well-known/oauth-protected-resource/mcp")],
  },
  "GET /mcp/health": { needs: "public", reads: true, asks: () => [get("/mcp/health")] },
  "POST /api/v1/backup/export": {
    needs: ["backup:read"],
    reads: true,
    // Never all there is: of a deployment that could be much.
    asks: ({ space, app_id }) => [
      post(`${BACKUP}/export`, { access_entity: space }),
      post(`${BACKUP}/export`, { app_id }),
    ],
    views: () => [post(`${BACKUP}/export`, {}), post(`${BACKUP}/export`, { states: ["active"] })],
  },
  "POST /api/v1/backup/import": {
    needs: ["backup:write"],
    reads: false,
    // One alone is stored, and says nothing of the length of what other probes store: ids are made of the archive's here,
    // and would put what scores alike into another order for the ghost.
    asks: ({ ids, id, own_id, content, entity, space }) => [
      archive("", [{ id, content: `taken out of an archive, ${content}` }]),
      archive("?mode=overwrite&dry_run=true", [
        ...ids.map((one, place) => ({ id: one, content: `over ${place} ${content}`, state: "deleted" })),
        ...ids.map((supersedes) => ({ id: crypto.randomUUID(), content: crypto.randomUUID(), supersedes })),
        { id: own_id, content, access_entity: space, supersedes: id },
      ]),
      archive("?dry_run=true", [{ id, content, relations: [{ from: entity, to: entity, type: "is" }] }]),
      archive(`?access_entity=${encodeURIComponent(space)}`, [{ id, content }]),
    ],
  },

  "POST /mcp": {
    needs: [],
    reads: true,
    asks: ({ id }) => [post("/mcp", LIST_TOOLS), post("/mcp", [LIST_TOOLS, toolCall("get_memory", { memory_id: id })])],
  },
  "GET /mcp/:client/sse/:user": {
    needs: [],
    reads: false,
    asks: ({ sub }) => [get(`/mcp/cursor/sse/${encodeURIComponent(sub)}`), get("/mcp/cursor/sse/me")],
  },
  "POST /mcp/messages": {
    needs: [],
    reads: false,
    asks: ({ session_id, id }) => [
      post(`/mcp/messages?session_id=${session_id}`, LIST_TOOLS),
      post(`/mcp/messages?session_id=${session_id}`, toolCall("get_memory", { memory_id: id })),
    ],
  },
  "POST /mcp/:client/sse/:user/messages": {
    needs: [],
    reads: false,
    asks: ({ session_id, sub }) => [
      post(`/mcp/cursor/sse/me/messages?session_id=${session_id}`, LIST_TOOLS),
      post(`/mcp/cursor/sse/${encodeURIComponent(sub)}/messages?session_id=${session_id}`, LIST_TOOLS),
    ],
  },
};

/** One entry for each tool. Each is called over both doors of MCP. */
export const TOOL_PROBES: Readonly<Record<string, ToolProbe>> = {
  search_memory: {
    needs: ["memories:read"],
    reads: true,
    asks: ({ content, space }) => [
      { query: content, limit: 50 },
      { query: content, filter: { access_entity: space } },
    ],
    views: ({ words }) => [{ query: words, limit: 50 }],
  },
  add_memories: {
    needs: ["memories:write"],
    reads: false,
    asks: ({ content, key, space }) => [
      { text: content, idempotency_key: `tool-${key}` },
      { memories: [{ text: content }, { text: `tool ${content}`, access_entity: space }] },
    ],
  },
  list_memories: {
    needs: ["memories:read"],
    reads: true,
    asks: ({ space, entity, tag, artifact_ref }) => [
      { limit: 100 },
      { filter: { access_entity: space } },
      { filter: { state: "archived" } },
      { filter: { entity, tag: [tag, "none"], match: "any" } },
      { filter: { artifact_ref } },
    ],
    views: () => [
      { limit: 100 },
      { limit: 2 },
      { limit: 2, filter: { scope: "user", category: ["note", "decision"] } },
    ],
  },
  get_memory: {
    needs: ["memories:read"],
    reads: true,
    asks: ({ ids }) => ids.map((memory_id) => ({ memory_id, history: true, links: true })),
    views: ({ ids }) => ids.map((memory_id) => ({ memory_id, history: true, links: true })),
  },
  update_memory: {
    needs: ["memories:write"],
    reads: false,
    asks: ({ ids, own_id, content, space, key }) => [
      ...ids.map((memory_id) => ({ memory_id, category: "decision" })),
      { memory_id: own_id, access_entity: space },
      ...ids.map((supersedes) => ({ memory_id: own_id, supersedes })),
      { memory_id: own_id, text: content, idempotency_key: `update-${key}` },
    ],
  },
  delete_memories: {
    needs: ["memories:delete"],
    reads: false,
    asks: ({ ids, key }) => [{ memory_ids: ids }, { memory_ids: ids, idempotency_key: `gone-${key}` }],
  },
  delete_all_memories: {
    needs: ["memories:delete"],
    reads: false,
    // Never the right number: it would end the caller's own memories, which the others' counts are compared by.
    asks: ({ space }) => [{ confirm: "1", access_entity: space }, { confirm: "999999999" }],
    views: () => [{ confirm: "999999999" }],
  },
  add_memories_status: {
    needs: ["memories:read"],
    reads: true,
    asks: ({ id }) => [{ job_id: id }],
    views: () => [{ status_filter: "all" }],
  },
  ...ENTITY_TOOL_PROBES,
  get_embedder_info: { needs: ["admin:read"], reads: true, asks: () => [{}], views: () => [{}] },
  ...GRAPH_TOOL_PROBES,
  whoami: { needs: [], reads: true, asks: () => [{}], views: () => [{}] },
};
