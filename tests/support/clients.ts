import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";

/** The SDK's own client of the legacy door. */
export async function connectLegacy(url: string, headers: Record<string, string>, path = "/mcp/cursor/sse/me") {
  const client = new Client({ name: "cursor", version: "1" });
  const transport = new SSEClientTransport(new URL(url + path), {
    eventSourceInit: {
      fetch: (to, init) => fetch(to, { ...init, headers: { ...(init?.headers as object), ...headers } }),
    },
    requestInit: { headers },
  });
  await client.connect(transport);
  return client;
}
