import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { mintToken } from "../../src/auth/tokens.ts";
import { loadConfig } from "../../src/config.ts";
import { openEmbedded } from "../../src/embedded/database.ts";
import { createLog } from "../../src/log.ts";
import { startService } from "../../src/main.ts";
import { migrateDatabase } from "../../src/ops/migrate.ts";
import { temporaryFolder } from "../support/folder.ts";

const SCOPES = ["memories:read", "memories:write"] as const;
const BATCH = 100;

/** One user of one org, as a bench acts for them. */
export interface User {
  /** POSTs to a path below /api/v1. Throws an Error where that is answered with a problem. */
  post(path: string, body: object): Promise<{ text: string; ms: number }>;
  /** Stores memories through REST, in their order, and gives their ids. */
  store(memories: object[]): Promise<string[]>;
  /** Calls a tool over MCP. Throws an Error where that is answered with a problem. */
  call(tool: string, args: Record<string, unknown>): Promise<{ structured: Record<string, unknown>; ms: number }>;
}

export type Bench = Awaited<ReturnType<typeof openBench>>;

/** The whole service on a server and a database of its own, with fsync, gone at the end. */
export async function openBench(variables: Record<string, string> = {}) {
  const folder = temporaryFolder();
  const { server, database_url, owner_database_url } = await openEmbedded(folder.path);
  await migrateDatabase(owner_database_url);
  const config = loadConfig({ PORT: "0", RATE_LIMIT_RPM: "10000000", RATE_LIMIT_BURST: "10000000", ...variables });
  const settings = { ...config, jwt_secret: server.secrets.jwt_secret };
  const service = await startService(config, database_url, settings.jwt_secret, createLog("warn"));
  const clients: Client[] = [];

  return {
    owner_database_url,
    async user(org: string, sub: string): Promise<User> {
      const { token } = await mintToken(settings, { org, sub, scopes: SCOPES, days: 1 });
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };

      const post: User["post"] = async (path, body) => {
        const started = performance.now();
        const response = await fetch(`${service.url}/api/v1${path}`, {
          method: "POST",
          headers,
          body: JSON.stringify(body),
        });
        const text = await response.text();
        if (!response.ok) throw new Error(`POST ${path} was answered ${response.status} ${text}`);
        return { text, ms: performance.now() - started };
      };

      let connected: Promise<Client> | undefined;
      const connect = async () => {
        const client = new Client({ name: "bench", version: "1.0.0" });
        await client.connect(
          new StreamableHTTPClientTransport(new URL(`${service.url}/mcp`), { requestInit: { headers } }),
        );
        clients.push(client);
        return client;
      };

      return {
        post,
        async store(memories) {
          const ids: string[] = [];
          for (let from = 0; from < memories.length; from += BATCH) {
            const { text } = await post("/memories/batch", { memories: memories.slice(from, from + BATCH) });
            ids.push(...JSON.parse(text).items.map(({ id }: { id: string }) => id));
          }
          return ids;
        },
        async call(tool, args) {
          connected ??= connect();
          const client = await connected;
          const started = performance.now();
          const { structuredContent, isError, content } = await client.callTool({ name: tool, arguments: args });
          if (isError || !structuredContent) throw new Error(`${tool} was answered ${JSON.stringify(content)}`);
          return { structured: structuredContent as Record<string, unknown>, ms: performance.now() - started };
        },
      };
    },
    async close() {
      await Promise.all(clients.map((client) => client.close()));
      await service.stop();
      await server.stop();
      folder[Symbol.dispose]();
    },
  };
}
