import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Server } from "bun";
import { ROUTE_NEEDS, TOOL_NEEDS } from "../../src/auth/scopes.ts";
import { PROBLEM_CODES } from "../../src/problem.ts";
import { ada, METRICS_TOKEN, openWorld, tokenFor, type World } from "../support/world.ts";

let world: World;
let server: Server<unknown>;
beforeAll(async () => {
  world = await openWorld();
  server = listen(world);
});
afterAll(async () => {
  await server.stop(true);
  await world.close();
});

/** So that there is an address a request comes from. */
function listen({ app }: World) {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: (request) => app.fetch(request) });
  app.server = server;
  return server;
}

const read = async (headers: Record<string, string> = {}, from = server) => {
  const response = await fetch(`http://127.0.0.1:${from.port}/metrics`, { headers });
  return { status: response.status, type: response.headers.get("content-type"), text: await response.text() };
};
const withToken = (token: string) => ({ authorization: `Bearer ${token}` });

/** Every sample of the text form, its labels as an object. Throws where a line is neither a comment nor a sample. */
function samplesOf(text: string) {
  return text
    .split("\n")
    .filter((line) => line !== "" && !/^# (HELP|TYPE) [a-z_]+ /.test(line))
    .map((line) => {
      const [, name = "", labels = "", value = ""] = /^([a-z_]+)(?:\{(.*)\})? ([\d.e+-]+)$/.exec(line) ?? [];
      if (!name) throw new Error(`no sample: ${line}`);
      const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, text]) => [label, text]);
      return { name, labels: Object.fromEntries(pairs) as Record<string, string>, value: Number(value) };
    });
}

describe("who may read them", () => {
  test("this machine, without any token", async () => {
    const { status, type, text } = await read();
    expect([status, type]).toEqual([200, "text/plain; version=0.0.4; charset=utf-8"]);
    expect(samplesOf(text).length).toBeGreaterThan(10);
  });

  test.each(["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "forwarded", "via"])(
    "not what came through a proxy on this machine: %s",
    async (name) => {
      const { status, text } = await read({ [name]: "127.0.0.1" });
      expect([status, JSON.parse(text).code]).toEqual([401, "MISSING_AUTH"]);
      expect((await read({ [name]: "127.0.0.1", ...withToken(METRICS_TOKEN) })).status).toBe(200);
    },
  );

  test("not with another token, nor with a user's", async () => {
    const forwarded = { via: "1.1 proxy" };
    for (const token of [`${METRICS_TOKEN}x`, METRICS_TOKEN.slice(1), await tokenFor(ada)])
      expect((await read({ ...forwarded, ...withToken(token) })).status).toBe(401);
  });

  test("without METRICS_TOKEN there is no such route for others", async () => {
    const closed = await openWorld({ metrics_token: undefined });
    const listening = listen(closed);
    expect((await read({}, listening)).status).toBe(200);
    const { status, text } = await read({ via: "1.1 proxy", ...withToken(METRICS_TOKEN) }, listening);
    expect([status, JSON.parse(text).detail]).toEqual([404, "There is no such route."]);
    await listening.stop(true);
    await closed.close();
  });
});

test("requests are counted by route, method and class of status, whatever is sent", async () => {
  const secret = "word-of-a-caller";
  const api = world.api({ ...ada, sub: secret });
  const { body } = await api.post("/memories", { content: secret });
  await api.get(`/memories/${body.id}`);
  await api.get("/memories/not-an-id");
  await api.call("PROPFIND", "/memories");
  await world.raw(`/${secret}/${crypto.randomUUID()}`);
  await world.raw("/api/v1/memories");
  const { text } = await read();
  expect(text).not.toContain(secret);
  const samples = samplesOf(text).filter(({ name }) => name === "http_requests_total");
  const count = (method: string, route: string, status: string) =>
    samples.find(({ labels }) => labels.method === method && labels.route === route && labels.status === status)?.value;
  expect(count("POST", "/api/v1/memories", "2xx")).toBe(1);
  expect(count("GET", "/api/v1/memories/:id", "2xx")).toBe(1);
  expect(count("GET", "/api/v1/memories/:id", "4xx")).toBe(1);
  expect(count("other", "unknown", "4xx")).toBe(1);
  const routes = new Set([...Object.keys(ROUTE_NEEDS).map((route) => route.split(" ")[1]), "unknown"]);
  for (const { labels } of samples) {
    expect(routes).toContain(labels.route);
    expect(labels.status).toMatch(/^[1-5]xx$/);
    expect(labels.method).toMatch(/^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|other)$/);
  }
  const seconds = samplesOf(text).filter(
    ({ name, labels }) => name === "http_request_duration_seconds_count" && labels.route === "/api/v1/memories/:id",
  );
  expect(seconds.map(({ value }) => value)).toEqual([2]);
});

test("tools are counted by name and code", async () => {
  const { call } = await world.assistant(ada);
  await call("whoami");
  await call("get_memory", { memory_id: crypto.randomUUID() });
  await call("get_memory", { memory_id: "x" });
  const samples = samplesOf((await read()).text).filter(({ name }) => name === "brain_tool_calls_total");
  expect(samples.map(({ labels, value }) => `${labels.tool} ${labels.code} ${value}`).sort()).toEqual([
    "get_memory INVALID_INPUT 1",
    "get_memory NOT_FOUND 1",
    "whoami OK 1",
  ]);
  for (const { labels } of samples) {
    expect(Object.keys(TOOL_NEEDS)).toContain(labels.tool ?? "");
    expect(["OK", ...PROBLEM_CODES]).toContain(labels.code ?? "");
  }
});

test("pool, streams, sealer, recalls and purge are told of", async () => {
  const value = async (name: string) => {
    const found = samplesOf((await read()).text).filter((sample) => sample.name === name);
    expect([name, found.length]).toEqual([name, 1]);
    return found[0]?.value ?? Number.NaN;
  };
  expect(await value("brain_database_connections_max")).toBe(4);
  // What an answer before left behind, such as the audit of a refusal, may still be at work.
  for (let tries = 0; tries < 100 && (await value("brain_database_transactions")) > 0; tries++) await Bun.sleep(10);
  expect(await value("brain_database_transactions")).toBe(0);
  const slow = world.database
    .callerFor({ org: "acme", sub: "ada", jti: "x", scopes: new Set(), grants: [], expires_at: 0 }, "rest", "")
    .read((tx) => tx`select pg_sleep(0.2)`);
  expect(await value("brain_database_transactions")).toBe(1);
  await slow;

  const stream = await fetch(`http://127.0.0.1:${server.port}/mcp/cursor/sse/me`, {
    headers: { authorization: `Bearer ${await tokenFor(ada)}` },
  });
  expect(await value("brain_mcp_streams")).toBe(1);
  await stream.body?.cancel();

  while ((await world.database.writeRecalls()) > 0);
  const written = await value("brain_recalls_written");
  await world.api(ada).post("/memories", { content: "to be recalled" });
  await world.api(ada).get("/memories");
  expect(await value("brain_recalls_waiting")).toBe(1);
  await world.database.writeRecalls();
  expect([await value("brain_recalls_waiting"), await value("brain_recalls_written")]).toEqual([0, written + 1]);
  expect(await value("brain_recalls_dropped")).toBe(0);

  await world.database.sealAudit(1000);
  await world.database.purge(1000);
  expect(await value("brain_audit_sealed")).toBeGreaterThan(0);
  for (const name of ["brain_audit_sealed_timestamp_seconds", "brain_purged_timestamp_seconds"])
    expect(Math.abs((await value(name)) - Date.now() / 1000)).toBeLessThan(5);
  expect(await value("process_resident_memory_bytes")).toBeGreaterThan(1e7);
  expect(Math.abs((await value("process_start_time_seconds")) - Date.now() / 1000)).toBeLessThan(600);
});
