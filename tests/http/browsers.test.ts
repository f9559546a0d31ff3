import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
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

test.each([
  ["200", "/health/live", {}],
  ["401", "/api/v1/memories", {}],
  ["404", "/nowhere", {}],
  ["413", "/api/v1/memories", { method: "POST", body: "x".repeat(1_100_000) }],
  ["204", "/api/v1/memories", { method: "OPTIONS" }],
])("an answer %s has the security headers", async (status, path, init) => {
  const token = status === "413" ? { authorization: `Bearer ${await tokenFor(ada)}` } : undefined;
  const answer = await world.raw(path, { ...init, ...(token && { headers: token }) });
  expect(String(answer.status)).toBe(status);
  for (const [name, value] of Object.entries(SECURITY)) expect([name, answer.headers.get(name)]).toEqual([name, value]);
  expect(answer.headers.get("permissions-policy")).toContain("camera=()");
  expect(answer.headers.get("x-request-id")).toMatch(/^[\da-f-]{36}$/);
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
