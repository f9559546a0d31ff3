import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import postgres from "postgres";
import { type AppSettings, createApp } from "../../src/app.ts";
import { SCOPES } from "../../src/auth/scopes.ts";
import { mintToken } from "../../src/auth/tokens.ts";
import { openDatabase } from "../../src/db.ts";
import type { Embedder } from "../../src/embeddings/provider.ts";
import { trustedProxies } from "../../src/http/client_address.ts";
import { createLog } from "../../src/log.ts";
import { newestMigration } from "../../src/ops/migration_files.ts";
import { freshDatabase } from "./server.ts";

export const METRICS_TOKEN = "for-the-scraper-of-the-tests";
/** Where every world of this run spools; gone at the end (tests/setup.ts). */
export const DATA_DIR = join(tmpdir(), `coding-brain-tests-${process.pid}`);

export const SETTINGS: Omit<AppSettings, "newest_migration"> = {
  host: "127.0.0.1",
  cors_allowed_origins: ["https://brain.example.com", "http://h"],
  trusted_proxies: trustedProxies(),
  rate_limit_rpm: 1_000_000,
  rate_limit_burst: 1_000_000,
  jwt_secret: "a secret for tests, long enough for HS256",
  jwt_previous_secrets: [],
  jwt_public_keys: [],
  jwt_issuer: "https://codingbrain.local",
  jwt_audience: "https://api.codingbrain.local",
  jwt_max_lifetime_seconds: 31_536_000,
  metrics_token: METRICS_TOKEN,
  mcp_session_idle_seconds: 1800,
  mcp_heartbeat_seconds: 15,
  data_dir: DATA_DIR,
};

/** Somebody with a token. */
export interface Person {
  org: string;
  sub: string;
  grants?: readonly string[];
  scopes?: readonly string[];
}

/** Ada and ben share a project of acme, cyd is their colleague without it; eve and the other ada are of another org. */
export const ada: Person = { org: "acme", sub: "ada", grants: ["project:acme/web"] };
export const ben: Person = { org: "acme", sub: "ben", grants: ["project:acme/web"] };
export const cyd: Person = { org: "acme", sub: "cyd" };
export const eve: Person = { org: "umbrella", sub: "eve", grants: ["project:acme/web", "org:acme"] };
export const otherAda: Person = { org: "umbrella", sub: "ada", grants: ["project:acme/web"] };

export const tokenFor = async ({ org, sub, grants = [], scopes = SCOPES }: Person) =>
  (await mintToken(SETTINGS, { org, sub, grants, scopes, days: 1 })).token;

export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every shape
  body: any;
}

export type World = Awaited<ReturnType<typeof openWorld>>;

/** The whole application on a database of its own, and what it logged. `sent` hears of every statement. */
export async function openWorld(
  settings: Partial<AppSettings> = {},
  { embedder = null, sent }: { embedder?: Embedder | null; sent?: (statement: string) => void } = {},
) {
  const test_database = await freshDatabase();
  const database = openDatabase(test_database.service_url, { max: 4, embedder, ...(sent && { sent }) });
  const logged: string[] = [];
  const log = createLog("debug", (line) => void logged.push(line));
  const app = await createApp({ ...SETTINGS, newest_migration: newestMigration(), ...settings }, database, log);
  const owner = postgres(test_database.owner_url, { max: 2, onnotice: () => {} });

  const send = async (request: Request): Promise<Answer> => {
    const response = await app.handle(request);
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text && JSON.parse(text) };
  };

  return {
    app,
    database,
    urls: test_database,
    /** Sees every row of every org. */
    owner,
    logged,
    /** A request as it is, no token added. */
    raw: (path: string, init: RequestInit = {}) => send(new Request(`http://localhost${path}`, init)),
    /** REST as a person. */
    api(person: Person) {
      const call = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
        send(
          new Request(`http://localhost/api/v1${path}`, {
            method,
            headers: {
              authorization: `Bearer ${await tokenFor(person)}`,
              "content-type": "application/json",
              ...headers,
            },
            ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
          }),
        );
      return {
        get: (path: string) => call("GET", path),
        post: (path: string, body: unknown) => call("POST", path, body),
        put: (path: string, body: unknown) => call("PUT", path, body),
        delete: (path: string, body?: unknown) => call("DELETE", path, body),
        call,
      };
    },
    /** MCP as a person, with the SDK's own client. */
    async assistant(person: Person, { user_agent = "claude-code/2.1 (cli)", toolsets = "" } = {}) {
      const client = new Client({ name: "claude-code", version: "2.1.0" });
      const transport = new StreamableHTTPClientTransport(
        new URL(`http://localhost/mcp${toolsets && `?toolsets=${toolsets}`}`),
        {
          fetch: (url, init) => app.handle(new Request(String(url), init)),
          requestInit: { headers: { authorization: `Bearer ${await tokenFor(person)}`, "user-agent": user_agent } },
        },
      );
      await client.connect(transport);
      return {
        client,
        /** The structured answer of a tool, or the problem it gave. */
        async call(name: string, args: Record<string, unknown> = {}) {
          const result = await client.callTool({ name, arguments: args });
          const [first] = result.content as { text: string }[];
          return result.isError ? { problem: JSON.parse(first?.text ?? "") } : result.structuredContent;
        },
      };
    },
    async close() {
      await database.close();
      await owner.end();
      await test_database.drop();
    },
  };
}

/** A problem without the one field that differs between two equal ones. */
export function samely(problem: { request_id?: string }) {
  const { request_id: _, ...rest } = problem;
  return rest;
}
