import { get, post } from "./asks.ts";
import { ENTITY_ROUTE_PROBES, ENTITY_TOOL_PROBES } from "./entity_probes.ts";
import { GRAPH_ROUTE_PROBES, GRAPH_TOOL_PROBES } from "./graph_probes.ts";
import { MEMORY_ROUTE_PROBES, MEMORY_TOOL_PROBES } from "./memory_probes.ts";
import { ORG_ROUTE_PROBES } from "./org_probes.ts";
import { methodCall, type RouteProbe, type ToolProbe, toolCall } from "./probe.ts";

/** What opens the metrics of the world that is attacked; elsewhere it opens nothing. */
export const METRICS_TOKEN = "nobody-has-this-one";

const LIST_TOOLS = methodCall("tools/list", {});

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

  ...MEMORY_ROUTE_PROBES,
  ...GRAPH_ROUTE_PROBES,
  ...ENTITY_ROUTE_PROBES,
  ...ORG_ROUTE_PROBES,
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
  ...MEMORY_TOOL_PROBES,
  ...ENTITY_TOOL_PROBES,
  get_embedder_info: { needs: ["admin:read"], reads: true, asks: () => [{}], views: () => [{}] },
  ...GRAPH_TOOL_PROBES,
  whoami: { needs: [], reads: true, asks: () => [{}], views: () => [{}] },
};
