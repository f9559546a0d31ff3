import { get, post, query } from "./asks.ts";
import type { RouteProbe, ToolProbe } from "./probe.ts";
import type { Ask } from "./world.ts";

const MEMORIES = "/api/v1/memories";

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

/** The routes of memories and of the search for them. */
export const MEMORY_ROUTE_PROBES: Readonly<Record<string, RouteProbe>> = {
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
  "POST /api/v1/search": search("/api/v1/search"),
  "POST /api/v1/search/lexical": search("/api/v1/search/lexical"),
  "POST /api/v1/search/semantic": search("/api/v1/search/semantic"),
};

/** The tools of memories. */
export const MEMORY_TOOL_PROBES: Readonly<Record<string, ToolProbe>> = {
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
};
