import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ada, openWorld, tokenFor, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const post = async (body: unknown, headers: Record<string, string> = {}) =>
  world.raw("/mcp", {
    method: "POST",
    headers: { authorization: `Bearer ${await tokenFor(ada)}`, "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });

const ping = { jsonrpc: "2.0", id: 1, method: "ping" };

describe("one message", () => {
  test("any call works without initialize, and no session is issued", async () => {
    const { status, body, headers } = await post({ ...ping, id: "a" });
    expect({ status, body, session: headers.get("mcp-session-id") }).toEqual({
      status: 200,
      body: { jsonrpc: "2.0", id: "a", result: {} },
      session: null,
    });
  });

  test.each([
    ["2025-11-25", "2025-11-25"],
    ["2025-06-18", "2025-06-18"],
    ["2025-03-26", "2025-03-26"],
    ["2024-11-05", "2024-11-05"],
    ["2030-01-01", "2025-11-25"],
  ])("a client of revision %s is answered in %s", async (asked, answered) => {
    const params = { protocolVersion: asked, capabilities: {}, clientInfo: { name: "x", version: "1" } };
    const { body } = await post({ jsonrpc: "2.0", id: 1, method: "initialize", params });
    expect(body.result.protocolVersion).toBe(answered);
  });

  test.each([
    ["a notification", { jsonrpc: "2.0", method: "notifications/initialized" }],
    ["an unknown notification", { jsonrpc: "2.0", method: "x" }],
    ["a response", { jsonrpc: "2.0", id: 1, result: {} }],
  ])("%s is taken without an answer", async (_what, message) => {
    expect(await post(message)).toMatchObject({ status: 202, body: "" });
  });

  test.each([
    ["a number", 1],
    ["null", null],
    ["an empty object", {}],
    ["JSON-RPC 1.0", { ...ping, jsonrpc: "1.0" }],
    ["a null id", { ...ping, id: null }],
    ["a fractional id", { ...ping, id: 1.5 }],
    ["params that are a list", { ...ping, params: [] }],
    ["a method that is no text", { ...ping, method: 7 }],
  ])("%s is not a message", async (_what, message) => {
    const { status, body } = await post(message);
    expect({ status, code: body.error.code, problem: body.error.data.code }).toEqual({
      status: 400,
      code: -32600,
      problem: "MALFORMED",
    });
  });

  test.each([
    ["an unknown method", { ...ping, method: "tools/burn" }, -32601, "NOT_FOUND"],
    ["an unknown tool", { ...ping, method: "tools/call", params: { name: "burn" } }, -32602, "NOT_FOUND"],
    ["a call without a name", { ...ping, method: "tools/call", params: {} }, -32602, "MALFORMED"],
    [
      "arguments that are a list",
      { ...ping, method: "tools/call", params: { name: "whoami", arguments: [] } },
      -32602,
      "MALFORMED",
    ],
    ["a broken _meta", { ...ping, params: { _meta: 3 } }, -32602, "MALFORMED"],
  ])("%s is a JSON-RPC error with the problem in data", async (_what, message, code, problem) => {
    const { status, body } = await post(message);
    expect({ status, id: body.id, code: body.error.code, problem: body.error.data.code }).toEqual({
      status: 200,
      id: 1,
      code,
      problem,
    });
    expect(body.error.message).toBe(body.error.data.detail);
  });

  test("broken JSON, another media type, another revision and an unfit Accept are refused", async () => {
    const refused = async (body: unknown, headers: Record<string, string>) => {
      const answer = await post(body, headers);
      return [answer.status, answer.body.error.data.code];
    };
    expect(await refused("{", {})).toEqual([400, "MALFORMED"]);
    expect(await refused(ping, { "content-type": "text/plain" })).toEqual([415, "UNSUPPORTED_MEDIA_TYPE"]);
    expect(await refused(ping, { "mcp-protocol-version": "1999-01-01" })).toEqual([400, "MALFORMED"]);
    expect(await refused(ping, { accept: "text/html" })).toEqual([406, "NOT_ACCEPTABLE"]);
  });

  test.each([
    "text/html",
    "application/json;q=0",
    "*/*;q=0",
    "application/*, application/json; Q=0.0",
    "jsonapplication/json",
  ])("Accept: %s is refused", async (accept) => {
    const answer = await post(ping, { accept });
    expect([answer.status, answer.body.error.data.code]).toEqual([406, "NOT_ACCEPTABLE"]);
  });

  test.each([
    "application/json",
    "text/event-stream",
    "*/*",
    "application/json, text/event-stream",
    "Application/*;q=0.1",
    "*/*;q=0, application/json",
    "application/json;q=0, text/event-stream",
  ])("Accept: %s is fine", async (accept) => {
    expect((await post(ping, { accept })).status).toBe(200);
  });

  test.each(["GET", "DELETE", "PUT"])("%s is 405", async (method) => {
    const headers = { authorization: `Bearer ${await tokenFor(ada)}` };
    const { status, headers: answered } = await world.raw("/mcp", { method, headers });
    expect({ status, allow: answered.get("allow") }).toEqual({ status: 405, allow: "POST" });
  });
});

describe("batches of old revisions", () => {
  test("each is judged alone, and equal ids are both answered", async () => {
    const { status, body } = await post([
      ping,
      { ...ping },
      { jsonrpc: "2.0", method: "x" },
      7,
      { ...ping, id: 2, method: "no" },
    ]);
    expect(status).toBe(200);
    expect(body).toEqual([
      { jsonrpc: "2.0", id: 1, result: {} },
      { jsonrpc: "2.0", id: 1, result: {} },
      { jsonrpc: "2.0", id: null, error: expect.objectContaining({ code: -32600 }) },
      { jsonrpc: "2.0", id: 2, error: expect.objectContaining({ code: -32601 }) },
    ]);
  });

  test.each([
    ["an empty one", [], {}],
    ["21 messages", Array(21).fill(ping), {}],
    ["any, in a revision without batches", [ping], { "mcp-protocol-version": "2025-06-18" }],
  ])("refused: %s", async (_what, batch, headers) => {
    expect((await post(batch, headers)).status).toBe(400);
  });

  test("only notifications: nothing to answer", async () => {
    expect(await post([{ jsonrpc: "2.0", method: "x" }])).toMatchObject({ status: 202, body: "" });
  });
});

test("a hundred calls with the same id, of two people, are told apart", async () => {
  const others = await tokenFor({ org: "umbrella", sub: "eve" });
  const message = { jsonrpc: "2.0", id: 7, method: "tools/call", params: { name: "whoami" } };
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, index) => post(message, index % 2 ? { authorization: `Bearer ${others}` } : {})),
  );
  expect(answers.map(({ body }) => body.result.structuredContent.user)).toEqual(
    Array.from({ length: 100 }, (_, index) => (index % 2 ? "eve" : "ada")),
  );
});

test("a client that goes away before the answer leaves nothing pending", async () => {
  const controller = new AbortController();
  const request = new Request("http://localhost/mcp", {
    method: "POST",
    signal: controller.signal,
    headers: { authorization: `Bearer ${await tokenFor(ada)}`, "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "list_memories" } }),
  });
  const answer = world.app.handle(request);
  controller.abort();
  await answer.catch(() => undefined);
  expect((await post(ping)).status).toBe(200);
});
