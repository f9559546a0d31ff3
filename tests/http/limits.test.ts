import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ada, ben, openWorld, otherAda, type Person, tokenFor, type World } from "../support/world.ts";

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

describe("a JSON-RPC batch", () => {
  const ping = { jsonrpc: "2.0", id: 1, method: "ping" };
  const add = { ...ping, method: "tools/call", params: { name: "add_memories", arguments: { content: "of a batch" } } };
  const post = async (person: Person, messages: unknown, path = "/mcp") => {
    const headers = { authorization: `Bearer ${await tokenFor(person)}`, "content-type": "application/json" };
    const response = await world.app.handle(
      new Request(`http://localhost${path}`, { method: "POST", headers, body: JSON.stringify(messages) }),
    );
    const text = await response.text(); // a legacy stream's is "Accepted"
    return { status: response.status, headers: response.headers, body: /^[[{]/.test(text) && JSON.parse(text) };
  };
  const left = ({ status, headers }: { status: number; headers: Headers }) => [
    status,
    headers.get("x-ratelimit-remaining"),
  ];

  test("costs as many requests as it has messages", async () => {
    const person = { org: "acme", sub: "batches" };
    expect(left(await post(person, [ping, { jsonrpc: "2.0", method: "x" }]))).toEqual([200, "1"]);
    expect(left(await post(person, [ping]))).toEqual([200, "0"]);
    expect((await post(person, ping)).status).toBe(429);
  });

  test("that the limit has no room for is refused whole, and says when to come again", async () => {
    const person = { org: "acme", sub: "refused" };
    expect(left(await post(person, ping))).toEqual([200, "2"]);
    const { status, headers, body } = await post(person, [add, ping, ping]);
    expect({ status, id: body.id, code: body.error.code, problem: body.error.data.code }).toEqual({
      status: 429,
      id: null,
      code: -32600,
      problem: "RATE_LIMITED",
    });
    expect(headers.get("x-ratelimit-limit")).toBe("3");
    expect(headers.get("x-ratelimit-remaining")).toBe("1"); // itself was a request
    // Two more a minute apart, for the three it needs.
    expect(Number(headers.get("retry-after"))).toBeWithin(110, 121);
    expect(body.error.data.hint).toBe(`Wait ${headers.get("retry-after")} s.`);
    expect(await world.owner`select from brain.memories where content = 'of a batch'`).toHaveLength(0);
  });

  test("larger than the burst can never pass, and is told so", async () => {
    const { status, body } = await post({ org: "acme", sub: "large" }, Array(4).fill(ping));
    expect({ status, hint: body.error.data.hint }).toEqual({
      status: 429,
      hint: "More than 3 at once never pass; send fewer.",
    });
  });

  test("that is no batch at all is refused as such, for one request", async () => {
    const person = { org: "acme", sub: "malformed" };
    expect(left(await post(person, Array(21).fill(ping)))).toEqual([400, "2"]);
  });

  test.each([
    ["passes", 2, 202, "0"],
    ["is refused whole", 3, 429, "1"],
  ])("to a legacy stream costs the same: one that %s", async (_what, messages, status, remaining) => {
    const person = { org: "acme", sub: `legacy ${messages}` };
    const gone = new AbortController();
    const headers = { authorization: `Bearer ${await tokenFor(person)}` };
    const opened = await world.app.handle(
      new Request("http://localhost/mcp/cursor/sse/me", { headers, signal: gone.signal }),
    );
    const reader = opened.body?.pipeThrough(new TextDecoderStream()).getReader();
    const [, path] = /data: (\S+)/.exec((await reader?.read())?.value ?? "") ?? [];
    const answer = await post(person, Array(messages).fill(ping), path);
    expect(left(answer)).toEqual([status, remaining]);
    if (status === 429) expect(answer.body.code).toBe("RATE_LIMITED");
    gone.abort();
  });
});
