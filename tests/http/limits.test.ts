import { afterAll, beforeAll, expect, test } from "bun:test";
import { ada, ben, openWorld, otherAda, tokenFor, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld({ rate_limit_rpm: 1, rate_limit_burst: 3 });
});
afterAll(() => world.close());

test("a user is limited by itself: not with its namesake of another org, nor with a colleague", async () => {
  const statuses = [];
  for (const _ of [1, 2, 3]) statuses.push((await world.api(ada).get("/tokens/me")).status);
  expect(statuses).toEqual([200, 200, 200]);
  const { status, headers, body } = await world.api(ada).get("/tokens/me");
  expect({ status, code: body.code }).toEqual({ status: 429, code: "RATE_LIMITED" });
  expect(headers.get("content-type")).toBe("application/problem+json");
  expect(headers.get("x-ratelimit-limit")).toBe("3");
  expect(headers.get("x-ratelimit-remaining")).toBe("0");
  expect(Number(headers.get("x-ratelimit-reset"))).toBeGreaterThan(Date.now() / 1000);
  expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
  for (const person of [otherAda, ben]) {
    const other = await world.api(person).get("/tokens/me");
    expect([other.status, other.headers.get("x-ratelimit-remaining")]).toEqual([200, "2"]);
  }
});

test("an address that does not sign in is limited, and a token from there is let in all the same", async () => {
  const statuses = [];
  for (const _ of [1, 2, 3, 4]) statuses.push((await world.raw("/api/v1/memories")).status);
  expect(statuses).toEqual([401, 401, 401, 429]);
  const headers = { authorization: "Bearer a.b.c" };
  expect((await world.raw("/mcp", { method: "POST", headers })).body.code).toBe("RATE_LIMITED");
  expect((await world.raw("/health/live")).status).toBe(429);
  const own = { authorization: `Bearer ${await tokenFor({ org: "acme", sub: "late" })}` };
  expect((await world.raw("/api/v1/tokens/me", { headers: own })).status).toBe(200);
});
