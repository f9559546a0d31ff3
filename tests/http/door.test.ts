import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { SignJWT } from "jose";
import { ROUTE_NEEDS } from "../../src/auth/scopes.ts";
import { ada, openWorld, SETTINGS, tokenFor, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const ID = "01a2079c-0000-7000-8000-000000000000";
const pathOf = (route: string) => route.split(" ")[1]?.replace(":id", ID) ?? "";
const methodOf = (route: string) => route.split(" ")[0] ?? "";
const guarded = Object.entries(ROUTE_NEEDS).filter(([, needs]) => needs !== "public");
const BAD_BODY = { body: "{", headers: { "content-type": "text/plain" } };

describe("the order at the door", () => {
  test.each(guarded.map(([route]) => route))("%s without a token is 401, whatever the body", async (route) => {
    const method = methodOf(route);
    const { status, headers, body } = await world.raw(`${pathOf(route)}?nonsense=%ff`, {
      method,
      ...(method !== "GET" && BAD_BODY),
    });
    expect({ status, code: body.code, challenge: headers.get("www-authenticate") }).toEqual({
      status: 401,
      code: "MISSING_AUTH",
      challenge: route.includes("/mcp") ? 'Bearer realm="mcp"' : 'Bearer realm="api"',
    });
  });

  test.each(guarded.filter(([, needs]) => needs.length > 0).map(([route]) => route))(
    "%s without its scope is 403, whatever the body",
    async (route) => {
      const method = methodOf(route);
      const others = { ...ada, scopes: ["gdpr:read", "memories:reader", "MEMORIES:READ", "memories:*"] };
      const { status, body } = await world.raw(`${pathOf(route)}?nonsense=%ff`, {
        method,
        ...(method !== "GET" && { body: "{" }),
        headers: { authorization: `Bearer ${await tokenFor(others)}`, "content-type": "text/plain" },
      });
      expect({ status, code: body.code }).toEqual({ status: 403, code: "INSUFFICIENT_SCOPE" });
      for (const scope of ROUTE_NEEDS[route] ?? []) expect(body.detail).toContain(scope);
    },
  );

  test.each(["/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v1/memories/a/b/c", "/api", "/mcp/nothing", "/api/v2/x"])(
    "an unknown path is 401 without a token and 404 with one: %s",
    async (path) => {
      for (const method of ["GET", "POST", "DELETE"]) {
        const init = { method, ...(method !== "GET" && BAD_BODY) };
        expect((await world.raw(path, init)).status).toBe(401);
        const headers = { authorization: `Bearer ${await tokenFor(ada)}` };
        const { status, body } = await world.raw(path, { ...init, headers });
        expect({ status, code: body.code }).toEqual({ status: 404, code: "NOT_FOUND" });
      }
    },
  );

  test("a known path with another method is 405 and says which it takes", async () => {
    const headers = { authorization: `Bearer ${await tokenFor(ada)}` };
    const { status, headers: answered } = await world.raw("/api/v1/memories", { method: "PATCH", headers });
    expect({ status, allow: answered.get("allow")?.split(", ").sort() }).toEqual({
      status: 405,
      allow: ["DELETE", "GET", "HEAD", "POST"],
    });
    expect((await world.raw("/api/v1/memories", { method: "PATCH" })).status).toBe(401);
    expect((await world.raw("/mcp", { headers })).status).toBe(405);
  });

  test("HEAD answers as GET does, without a body", async () => {
    const headers = { authorization: `Bearer ${await tokenFor(ada)}` };
    expect(await world.raw("/api/v1/memories", { method: "HEAD", headers })).toMatchObject({ status: 200, body: "" });
    expect((await world.raw("/api/v1/memories", { method: "HEAD" })).status).toBe(401);
  });

  test("OPTIONS needs no token and tells the methods", async () => {
    const { status, headers } = await world.raw(`/api/v1/memories/${ID}`, { method: "OPTIONS" });
    expect({ status, allow: headers.get("allow")?.split(", ").sort() }).toEqual({
      status: 204,
      allow: ["DELETE", "GET", "HEAD", "PATCH", "PUT"],
    });
  });

  test("OPTIONS names the methods that are there: a stream has no HEAD", async () => {
    for (const [path, allow] of [
      ["/mcp/cursor/sse/me", "GET"],
      ["/mcp", "POST"],
    ] as const)
      expect((await world.raw(path, { method: "OPTIONS" })).headers.get("allow")).toBe(allow);
  });

  test("every answer has a request id, and a problem repeats it", async () => {
    for (const path of ["/health/live", "/nowhere", "/api/v1/memories", "/mcp"]) {
      const { headers, body } = await world.raw(path);
      expect(headers.get("x-request-id")).toMatch(/^[\da-f-]{36}$/);
      if (body.code) expect(body.request_id).toBe(headers.get("x-request-id"));
    }
  });
});

describe("tokens", () => {
  const key = new TextEncoder().encode(SETTINGS.jwt_secret);
  const now = () => Math.floor(Date.now() / 1000);
  const claims = () => ({
    sub: "ada",
    org_id: "acme",
    jti: crypto.randomUUID(),
    iss: SETTINGS.jwt_issuer,
    aud: SETTINGS.jwt_audience,
    iat: now(),
    exp: now() + 60,
    scope: "memories:read",
    grants: [],
  });
  const sign = (payload: object, header: object = {}, secret: Uint8Array = key) =>
    new SignJWT(payload as never).setProtectedHeader({ alg: "HS256", ...header } as never).sign(secret);
  const knock = async (authorization: string) => {
    const { status, body } = await world.raw("/api/v1/memories", { headers: { authorization } });
    return { status, code: body.code };
  };
  const signed = (text: string) => `${text}.${createHmac("sha256", key).update(text).digest("base64url")}`;
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

  test("a good one is let in, however Bearer is written", async () => {
    for (const scheme of ["Bearer", "bearer", "BEARER"])
      expect(await knock(`${scheme} ${await sign(claims())}`)).toEqual({ status: 200, code: undefined });
  });

  test("one without scopes, grants or with what we do not read is let in, and may what needs no scope", async () => {
    const { scope: _s, grants: _g, ...bare } = claims();
    for (const payload of [
      bare,
      { ...bare, scope: "" },
      { ...bare, email: 7, name: ["x"], nbf: now() - 1, roles: {} },
    ]) {
      const authorization = `Bearer ${await sign(payload)}`;
      expect(await knock(authorization)).toEqual({ status: 403, code: "INSUFFICIENT_SCOPE" });
      const { body } = await world.raw("/api/v1/tokens/me", { headers: { authorization } });
      expect(body).toMatchObject({ scopes: [], grants: ["user:ada"] });
    }
  });

  test("a clock may be 30 seconds off, and 256 grants fit", async () => {
    const grants = Array.from({ length: 256 }, (_, index) => `team:t${index}`);
    expect((await knock(`Bearer ${await sign({ ...claims(), iat: now() + 28, grants })}`)).status).toBe(200);
    expect((await knock(`Bearer ${await sign({ ...claims(), iat: now() + 33 })}`)).code).toBe("INVALID_IAT");
  });

  test.each([
    ["no scheme", async () => sign(claims()), "INVALID_AUTH_FORMAT"],
    ["another scheme", async () => `Basic ${btoa("ada:secret")}`, "INVALID_AUTH_FORMAT"],
    ["nothing after Bearer", async () => "Bearer", "EMPTY_TOKEN"],
    ["blanks after Bearer", async () => "Bearer   ", "EMPTY_TOKEN"],
    ["no token at all", async () => "Bearer hello", "INVALID_TOKEN"],
    ["two tokens", async () => `Bearer ${await sign(claims())} ${await sign(claims())}`, "INVALID_TOKEN"],
    ["padding", async () => `Bearer ${await sign(claims())}=`, "INVALID_TOKEN"],
    ["another key", async () => `Bearer ${await sign(claims(), {}, new Uint8Array(32))}`, "INVALID_TOKEN"],
    ["alg none", async () => `Bearer ${encode({ alg: "none" })}.${encode(claims())}.x`, "INVALID_TOKEN"],
    ["HS384 with our key", async () => `Bearer ${await sign(claims(), { alg: "HS384" })}`, "INVALID_TOKEN"],
    [
      "an unknown crit",
      async () => `Bearer ${signed(`${encode({ alg: "HS256", crit: ["x"], x: 1 })}.${encode(claims())}`)}`,
      "INVALID_TOKEN",
    ],
    [
      "a changed payload",
      async () => `Bearer ${(await sign(claims())).replace(/\.[^.]+\./, `.${encode({ ...claims(), sub: "ben" })}.`)}`,
      "INVALID_TOKEN",
    ],
    [
      "a payload that is no object",
      async () => `Bearer ${signed(`${encode({ alg: "HS256" })}.${encode([1])}`)}`,
      "INVALID_TOKEN",
    ],
    ["an expired one", async () => `Bearer ${await sign({ ...claims(), exp: now() - 1 })}`, "TOKEN_EXPIRED"],
    [
      "one from the future",
      async () => `Bearer ${await sign({ ...claims(), iat: now() + 60, exp: now() + 120 })}`,
      "INVALID_IAT",
    ],
    ["one not valid yet", async () => `Bearer ${await sign({ ...claims(), nbf: now() + 60 })}`, "INVALID_CLAIMS"],
    ["an endless one", async () => `Bearer ${await sign({ ...claims(), exp: now() + 40_000_000 })}`, "INVALID_CLAIMS"],
  ])("refused: %s", async (_what, authorization, code) => {
    expect(await knock(await authorization())).toEqual({ status: 401, code });
  });

  test.each(["sub", "org_id", "jti", "iss", "aud", "iat", "exp"])("refused: without %s", async (claim) => {
    const payload: Record<string, unknown> = claims();
    delete payload[claim];
    expect(await knock(`Bearer ${await sign(payload)}`)).toEqual({ status: 401, code: "INVALID_CLAIMS" });
  });

  test.each([
    { iss: "https://else.where" },
    { aud: "https://else.where" },
    { aud: [] },
    { sub: "" },
    { sub: "  " },
    { sub: 7 },
    { sub: "a\u0000b" },
    { sub: "a\nb" },
    { sub: "x".repeat(257) },
    { sub: "\ud800" },
    { org_id: null },
    { org_id: " " },
    { org_id: ["acme"] },
    { jti: "" },
    { iat: 1.5 },
    { exp: 1e300 },
    { scope: ["memories:read"] },
    { scope: 1 },
    { grants: "project:acme/web" },
    { grants: { "0": "org:acme" } },
    { grants: Array.from({ length: 257 }, () => "org:acme") },
    { grants: [`org:${"a".repeat(509)}`] },
  ])("refused: the claims %j", async (change) => {
    expect(await knock(`Bearer ${await sign({ ...claims(), ...change })}`)).toEqual({
      status: 401,
      code: "INVALID_CLAIMS",
    });
  });

  test("what a header says of keys is not followed", async () => {
    const header = {
      jku: "http://127.0.0.1:1/keys",
      x5u: "http://127.0.0.1:1/x",
      jwk: { kty: "oct", k: "AAAA" },
      kid: "../x",
    };
    expect((await knock(`Bearer ${await sign(claims(), header, new Uint8Array(32))}`)).code).toBe("INVALID_TOKEN");
  });

  test("grants that are not ours to use are dropped", async () => {
    const grants = [
      "user:ben",
      "client:x",
      "Project:acme",
      "org:%",
      "team:a_b/",
      "org:",
      "project:/x",
      "org:a b",
      7,
      null,
    ];
    const { body } = await world.raw("/api/v1/tokens/me", {
      headers: { authorization: `Bearer ${await sign({ ...claims(), grants: [...grants, "team:a_b", "team:a_b"] })}` },
    });
    expect(body).toEqual({
      user: "ada",
      org: "acme",
      scopes: ["memories:read"],
      grants: ["user:ada", "team:a_b"],
      expires_at: expect.stringMatching(/Z$/),
    });
  });

  test("a revoked one is refused at once, on both doors", async () => {
    const payload = { ...claims(), jti: "to be revoked", scope: "memories:read" };
    const authorization = `Bearer ${await sign(payload)}`;
    expect((await knock(authorization)).status).toBe(200);
    await world.owner`
      insert into brain.revoked_tokens (org_id, jti, expires_at) select app.org_key('acme'), 'to be revoked', now()`;
    expect(await knock(authorization)).toEqual({ status: 401, code: "TOKEN_REVOKED" });
    for (const name of ["whoami", "list_memories"]) {
      const { status, body } = await world.raw("/mcp", {
        method: "POST",
        headers: { authorization, "content-type": "application/json" },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name, arguments: {} } }),
      });
      expect({ status, code: body.code }).toEqual({ status: 401, code: "TOKEN_REVOKED" });
    }
  });

  test("a revoked one is refused where nothing is asked of the database too", async () => {
    const authorization = `Bearer ${await sign({ ...claims(), jti: "to be revoked", scope: "memories:read memories:write" })}`;
    const headers = { authorization, "content-type": "application/json" };
    const message = (method: string) => JSON.stringify({ jsonrpc: "2.0", id: 1, method });
    for (const [path, init] of [
      ["/api/v1/memories", { method: "POST", body: "{}" }],
      ["/api/v1/memories", { method: "PATCH" }],
      ["/api/v1/memories/x", {}],
      ["/api/v1/nothing", {}],
      ["/mcp", { method: "POST", body: message("tools/list") }],
      ["/mcp", { method: "POST", body: message("ping") }],
      ["/mcp", { method: "POST", body: `[${message("ping")},${message("tools/list")}]` }],
      ["/mcp", { method: "POST", body: "{" }],
    ] as const) {
      const { status, body } = await world.raw(path, { ...init, headers });
      expect({ path, status, code: body.code }).toEqual({ path, status: 401, code: "TOKEN_REVOKED" });
    }
  });

  test("the same jti in another org is another token", async () => {
    const payload = { ...claims(), jti: "to be revoked", org_id: "umbrella" };
    expect((await knock(`Bearer ${await sign(payload)}`)).status).toBe(200);
  });
});

test("a path is what it is, whatever the Host: one letter does not lead past the door", async () => {
  const response = await world.app.handle(new Request("http://h/abc/health/live"));
  expect(response.status).toBe(404);
  expect((await world.app.handle(new Request("http://h/api/v1/health/live"))).status).toBe(401);
  expect((await world.raw("/openapi-json")).status).toBe(404);
});

test("a token in the query counts for nothing", async () => {
  const token = await tokenFor(ada);
  expect((await world.raw(`/api/v1/memories?token=${token}&access_token=${token}`)).status).toBe(401);
  expect((await world.raw("/api/v1/memories", { headers: { cookie: `token=${token}` } })).status).toBe(401);
});

test("the log has a line a request, without tokens and content", async () => {
  await world.api(ada).post("/memories", { content: "a secret plan\u009b" });
  const lines = world.logged.map((line) => JSON.parse(line));
  const line = lines.findLast((entry) => entry.message === "request");
  expect(line).toEqual({
    time: expect.any(String),
    level: "info",
    message: "request",
    request_id: expect.any(String),
    method: "POST",
    route: "/api/v1/memories",
    status: 201,
    ms: expect.any(Number),
    user: "ada",
    org: "acme",
  });
  expect(world.logged.join("")).not.toMatch(/eyJ|secret plan/);
});
