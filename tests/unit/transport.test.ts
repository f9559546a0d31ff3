import { expect, test } from "bun:test";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import { SharedTransport } from "../../src/mcp/transport.ts";

const ping = { jsonrpc: "2.0", id: 7, method: "ping" } as const;

/** A transport whose server only notes what it is given. */
function listening() {
  const transport = new SharedTransport<{ request_id: string }>(() => {});
  const received: JSONRPCMessage[] = [];
  transport.onmessage = (message) => void received.push(message);
  return { transport, received };
}

test("a call that its client gives up is cancelled, and forgotten", async () => {
  const { transport, received } = listening();
  const gone = new AbortController();
  const answer = transport.call(ping, { request_id: "r" }, gone.signal);
  gone.abort();
  expect(await answer).toBeUndefined();
  expect(received).toEqual([
    { ...ping, id: 1 },
    { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 1 } },
  ]);
  expect(() => transport.contextOf(1)).toThrow();
});

test("an answer goes to the call it is for, under its client's id, and once", async () => {
  const { transport } = listening();
  const signal = new AbortController().signal;
  const first = transport.call(ping, { request_id: "a" }, signal);
  const second = transport.call({ ...ping, id: "7" }, { request_id: "b" }, signal);
  expect([transport.contextOf(1), transport.contextOf(2)]).toEqual([{ request_id: "a" }, { request_id: "b" }]);
  await transport.send({ jsonrpc: "2.0", id: 2, result: { for: "b" } });
  await transport.send({ jsonrpc: "2.0", id: 1, result: { for: "a" } });
  await transport.send({ jsonrpc: "2.0", id: 1, result: { for: "nobody" } });
  expect(await Promise.all([first, second])).toEqual([
    { jsonrpc: "2.0", id: 7, result: { for: "a" } },
    { jsonrpc: "2.0", id: "7", result: { for: "b" } },
  ]);
  expect(() => transport.contextOf(1)).toThrow();
});

test("what the SDK says of an error stays inside", async () => {
  const { transport } = listening();
  const answer = transport.call(ping, { request_id: "r" }, new AbortController().signal);
  transport.contextOf(1);
  await transport.send({ jsonrpc: "2.0", id: 1, error: { code: -32603, message: "secret" } });
  expect(JSON.stringify(await answer)).not.toContain("secret");
});
