import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { SCOPES } from "../../src/auth/scopes.ts";
import { ada, openWorld, tokenFor, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const SECURITY = {
  "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "strict-transport-security": "max-age=31536000; includeSubDomains",
  "x-frame-options": "DENY",
  "x-content-type-options": "nosniff",
  "referrer-policy": "strict-origin-when-cross-origin",
};

const json = { "content-type": "application/json" };

/** Each status there is, and a request that gets it; by a token with every scope, or with those given. */
const ANSWERS: [status: number, path: string, init: RequestInit, scopes?: readonly string[]][] = [
  [200, "/health/live", {}],
  [200, "/docs", {}],
  [201, "/api/v1/memories", { method: "POST", body: '{"content":"x"}', headers: json }],
  [202, "/mcp", { method: "POST", body: '{"jsonrpc":"2.0","method":"x"}', headers: json }],
  [204, "/api/v1/memories", { method: "OPTIONS" }],
  [400, "/api/v1/memories", { method: "POST", body: "{", headers: json }],
  [401, "/api/v1/memories", { headers: { authorization: "Bearer a.b.c" } }],
  [403, "/api/v1/memories", {}, []],
  [403, "/api/v1/memories", { headers: { origin: "https://evil.example.com" } }],
  [404, "/nowhere", {}],
  [404, "/api/v1/memories/01a2079c-0000-7000-8000-000000000000", {}],
  [405, "/mcp", {}],
  [406, "/mcp/cursor/sse/me", { headers: { accept: "text/html" } }],
  [413, "/api/v1/memories", { method: "POST", body: "x".repeat(1_100_000) }],
  [415, "/api/v1/memories", { method: "POST", body: "{}", headers: { "content-type": "text/plain" } }],
  [422, "/api/v1/memories", { method: "POST", body: "{}", headers: json }],
  [500, "/api/v1/memories?category=decision", {}],
  [503, "/health/ready", {}],
];

describe("every answer has the security headers and a request id of ours", () => {
  let broken: World;
  beforeAll(async () => {
    broken = await openWorld({ newest_migration: "of another release" });
    // What our own check would have refused: an answer that breaks its schema.
    await broken.owner`alter table brain.memories drop constraint memories_source_check`;
    const { body } = await broken.api(ada).post("/memories", { content: "decided", category: "decision" });
    await broken.owner`update brain.memories set source = 'nobody knows' where id = ${body.id}`;
  });
  afterAll(() => broken.close());

  const answers = ANSWERS.map(([status, path, init, scopes = SCOPES]) => [status, path, init, scopes] as const);
  test.each(answers)("%d of %s", async (status, path, init, scopes) => {
    const authorization = `Bearer ${await tokenFor({ ...ada, scopes })}`;
    const headers = { authorization, "x-request-id": "mine", ...(init.headers as Record<string, string>) };
    const answer = await broken.app.handle(new Request(`http://localhost${path}`, { ...init, headers }));
    expect(answer.status).toBe(status);
    for (const [name, value] of Object.entries(SECURITY))
      if (path !== "/docs" || name !== "content-security-policy")
        expect([name, answer.headers.get(name)]).toEqual([name, value]);
    expect(answer.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    expect(answer.headers.get("permissions-policy")).toContain("camera=()");
    expect(answer.headers.get("x-request-id")).toMatch(/^[\da-f-]{36}$/);
  });

  test("a stream's too", async () => {
    const gone = new AbortController();
    const headers = { authorization: `Bearer ${await tokenFor(ada)}` };
    const request = new Request("http://localhost/mcp/cursor/sse/me", { headers, signal: gone.signal });
    const answer = await broken.app.handle(request);
    expect(answer.headers.get("content-type")).toStartWith("text/event-stream");
    for (const [name, value] of Object.entries(SECURITY))
      expect([name, answer.headers.get(name)]).toEqual([name, value]);
    gone.abort();
  });
});

test("/docs runs its own script and style by their hashes, and no other", async () => {
  const response = await world.app.handle(new Request("http://localhost/docs"));
  const policy = response.headers.get("content-security-policy") ?? "";
  const page = await response.text();
  for (const tag of ["script", "style"]) {
    const found = [...page.matchAll(new RegExp(`<${tag}[^>]*>([\\s\\S]*?)</${tag}>`, "g"))];
    expect(found).toHaveLength(1);
    const hash = createHash("sha256")
      .update(found[0]?.[1] ?? "")
      .digest("base64");
    expect(policy).toContain(`${tag}-src 'sha256-${hash}'`);
  }
  expect(policy).not.toContain("unsafe");
});

describe("Origin and Host", () => {
  const knock = async (path: string, headers: Record<string, string>) => {
    const { status, body } = await world.raw(path, {
      headers: { authorization: `Bearer ${await tokenFor(ada)}`, ...headers },
    });
    return { status, code: body?.code };
  };

  test.each([
    "http://localhost:6274",
    "http://127.0.0.1",
    "http://[::1]:3000",
    "https://brain.example.com",
    "HTTPS://Brain.Example.com",
  ])("the Origin %s is let in", async (origin) => {
    expect(await knock("/api/v1/tokens/me", { origin })).toMatchObject({ status: 200 });
  });

  test.each([
    "https://evil.example.com",
    "null",
    "http://localhost.evil.example.com",
    "http://evil.example.com#localhost",
    "http://localhost@evil.example.com",
    "http://localhost, http://evil.example.com",
    "http://localhost\\.evil.example.com",
    "https://brain.example.com.evil.example.com",
    "file://localhost",
    "http://localhost:6274/",
    "",
  ])("the Origin %p is refused, on every path, with a token and without", async (origin) => {
    for (const path of ["/api/v1/tokens/me", "/mcp", "/health/live", "/docs", "/nowhere"])
      expect(await knock(path, { origin })).toEqual({ status: 403, code: "FORBIDDEN_ORIGIN" });
    expect((await world.raw("/api/v1/tokens/me", { headers: { origin } })).body.code).toBe("FORBIDDEN_ORIGIN");
  });

  test.each(["localhost:8765", "127.0.0.1:8765", "[::1]:8765", "brain.example.com"])(
    "the Host %s is let in",
    async (host) => {
      expect(await knock("/api/v1/tokens/me", { host })).toMatchObject({ status: 200 });
    },
  );

  test.each([
    "evil.example.com",
    "localhost, evil.example.com",
    "localhost.evil.example.com:8765",
    "localhost:1@evil.example.com",
  ])("the Host %s is refused on loopback: a name may have been resolved to here", async (host) => {
    expect(await knock("/mcp", { host })).toEqual({ status: 403, code: "FORBIDDEN_ORIGIN" });
  });

  test("a service that does not listen on loopback takes any Host", async () => {
    const open = await openWorld({ host: "0.0.0.0" });
    expect((await open.raw("/health/live", { headers: { host: "brain.internal" } })).status).toBe(200);
    await open.close();
  });
});

describe("CORS", () => {
  const preflight = (origin: string) =>
    world.raw("/api/v1/memories", { method: "OPTIONS", headers: { origin, "access-control-request-method": "POST" } });

  test("a configured origin may read answers, problems too, and is told so before", async () => {
    const origin = "https://brain.example.com";
    const { status, headers } = await preflight(origin);
    expect(status).toBe(204);
    expect(headers.get("access-control-allow-origin")).toBe(origin);
    expect(headers.get("access-control-allow-methods")).toContain("POST");
    expect(headers.get("access-control-allow-headers")).toContain("Authorization");
    const refused = await world.raw("/api/v1/memories", { headers: { origin } });
    expect(refused.status).toBe(401);
    expect(refused.headers.get("access-control-allow-origin")).toBe(origin);
    expect(refused.headers.get("access-control-allow-credentials")).toBeNull();
    expect(refused.headers.get("vary")).toContain("Origin");
  });

  test("loopback that is not configured may call and not read", async () => {
    const { status, headers } = await preflight("http://localhost:3000");
    expect([status, headers.get("access-control-allow-origin")]).toEqual([204, null]);
  });
});
