import { afterAll, beforeAll, expect, test } from "bun:test";
import postgres from "postgres";
import { createApp } from "../../src/app.ts";
import { ROUTE_NEEDS } from "../../src/auth/scopes.ts";
import { openDatabase } from "../../src/db.ts";
import { createLog } from "../../src/log.ts";
import { newestMigration } from "../../src/ops/migration_files.ts";
import { ada, openWorld, SETTINGS, tokenFor, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

test("live, ready and deps answer without a token", async () => {
  expect(await world.raw("/health/live")).toMatchObject({ status: 200, body: { status: "ok" } });
  expect(await world.raw("/health/ready")).toMatchObject({
    status: 200,
    body: { status: "ok", migration: newestMigration() },
  });
  expect(await world.raw("/health/deps")).toMatchObject({
    status: 200,
    body: { dependencies: [{ name: "postgresql", status: "ok", took_ms: expect.any(Number) }] },
  });
});

test.each([
  ["behind", "999999.sql", "lacks migrations"],
  ["ahead", "000000.sql", "newer schema"],
])("a schema that is %s is not ready, and says so", async (_what, newest_migration, said) => {
  const app = await createApp({ ...SETTINGS, newest_migration }, world.database, () => {});
  const response = await app.handle(new Request("http://localhost/health/ready"));
  expect({ status: response.status, retry: response.headers.get("retry-after") }).toEqual({ status: 503, retry: "5" });
  expect(await response.json()).toMatchObject({ code: "UNAVAILABLE", detail: expect.stringContaining(said) });
});

test("a schema changed by hand is not ready until it is as it was, and says so", async () => {
  expect(await world.database.lookForDrift()).toBe(false);
  await world.owner`create index by_hand on brain.memories (org_id, thread, id)`;
  expect(await world.database.lookForDrift()).toBe(true);
  const problem = { code: "UNAVAILABLE", detail: expect.stringContaining("changed since the last migration") };
  expect(await world.raw("/health/ready")).toMatchObject({ status: 503, body: problem });
  await world.owner`drop index brain.by_hand`;
  expect(await world.database.lookForDrift()).toBe(false);
  expect(await world.raw("/health/ready")).toMatchObject({ status: 200 });
});

test("without its database the service answers 503 and stays alive", async () => {
  const nowhere = openDatabase("postgres://nobody@127.0.0.1:1/nothing");
  const logged: string[] = [];
  const log = createLog("error", (line) => void logged.push(line));
  const app = await createApp({ ...SETTINGS, newest_migration: newestMigration() }, nowhere, log);
  const ask = async (path: string, init: RequestInit = {}) => app.handle(new Request(`http://localhost${path}`, init));
  const headers = { authorization: `Bearer ${await tokenFor(ada)}`, "content-type": "application/json" };

  const list = await ask("/api/v1/memories", { headers });
  expect({ status: list.status, retry: list.headers.get("retry-after") }).toEqual({ status: 503, retry: "1" });
  const body = await list.text();
  expect(body).not.toMatch(/127\.0\.0\.1|ECONN|postgres/i);
  expect(logged.join("")).toContain("ECONNREFUSED");

  const message = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "list_memories" } };
  const response = await ask("/mcp", { method: "POST", headers, body: JSON.stringify(message) });
  const called = (await response.json()) as { result: { content: [{ text: string }] } };
  expect(JSON.parse(called.result.content[0].text)).toMatchObject({ code: "UNAVAILABLE" });

  expect((await ask("/health/live")).status).toBe(200);
  expect((await ask("/health/ready")).status).toBe(503);
  expect(await (await ask("/health/deps")).json()).toMatchObject({ dependencies: [{ status: "down" }] });
  await nowhere.close();
});

test("the table of scopes and the registered routes are the same list", () => {
  const registered = world.app.registered.map(({ method, path }) => `${method} ${path}`);
  expect(registered.sort()).toEqual(Object.keys(ROUTE_NEEDS).sort());
});

test("the OpenAPI document has every route", async () => {
  const { body } = await world.raw("/openapi.json");
  expect(body.openapi).toBe("3.1.0");
  const told = Object.entries<object>(body.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(told.sort()).toEqual(
    Object.keys(ROUTE_NEEDS)
      .map((route) => route.replace(/:(\w+)/g, "{$1}"))
      .sort(),
  );
});

test("/docs is a page that loads nothing from elsewhere", async () => {
  const response = await world.app.handle(new Request("http://localhost/docs"));
  const page = await response.text();
  expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
  expect(page).toContain('fetch("/openapi.json")');
  expect(page.match(/(?:https?:)?\/\/[\w.-]+\.\w+|@import|innerHTML/g)).toBeNull();
});

test("a route that breaks its own promise is our failure, and tells nothing", async () => {
  await world.owner`alter table brain.memories drop constraint memories_category_check`;
  const { body } = await world.api(ada).post("/memories", { content: "x" });
  await world.owner`update brain.memories set category = 'gossip' where id = ${body.id}`;
  const answer = await world.api(ada).get(`/memories/${body.id}`);
  expect({ status: answer.status, code: answer.body.code }).toEqual({ status: 500, code: "INTERNAL" });
  expect(JSON.stringify(answer.body)).not.toContain("gossip");
  expect(world.logged.at(-2)).toContain("ValidationError: category");
  expect(world.logged.join("")).not.toContain("gossip");
});

test("what the database says about values, and the driver about its URL, is not in the log", async () => {
  await world.owner`alter table brain.memories add constraint no_plans check (content not like '%plan%')`;
  await world.owner`
    create function brain.refuse() returns trigger language plpgsql
    as $$ begin raise exception using errcode = '23P01', message = new.content, constraint = 'no_hopes'; end $$`;
  await world.owner`
    create trigger refuse before insert on brain.memories
    for each row when (new.content like '%hope%') execute function brain.refuse()`;
  for (const [content, cause] of [
    ["a secret plan", "PostgresError 23514 no_plans"],
    ["a secret hope", "PostgresError 23P01 no_hopes"],
  ]) {
    expect((await world.api(ada).post("/memories", { content })).status).toBe(500);
    expect(JSON.parse(world.logged.at(-2) ?? "")).toMatchObject({ code: "INTERNAL", cause });
  }
  expect(world.logged.join("")).not.toMatch(/secret (plan|hope)/);

  const logged: string[] = [];
  const unreadable = new Error("cannot connect to postgres://brain_service:s3cret@db:5432/brain with Bearer s3cret");
  const database = { ...world.database, facts: world.database.facts, schemaState: () => Promise.reject(unreadable) };
  const log = createLog("debug", (line) => void logged.push(line));
  const app = await createApp({ ...SETTINGS, newest_migration: newestMigration() }, database, log);
  expect((await app.handle(new Request("http://localhost/health/ready"))).status).toBe(500);
  expect(logged.join("")).toContain("postgres://brain_service:[removed]@db:5432/brain with Bearer [removed]");
  expect(logged.join("")).not.toContain("s3cret");
});

test("backends that are ended in the middle of requests: 503 at worst, and the pool is whole again", async () => {
  const admin = postgres(world.urls.admin_url, { max: 1, onnotice: () => {} });
  const answers: Promise<{ status: number }>[] = [];
  for (let round = 0; round < 10; round++) {
    for (let index = 0; index < 10; index++)
      answers.push(world.api(ada).post("/memories", { content: `round ${round}, ${index}` }));
    await admin`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and usename = ${new URL(world.urls.service_url).username}`;
  }
  const statuses = (await Promise.all(answers)).map(({ status }) => status);
  expect(statuses.filter((status) => status !== 201 && status !== 503)).toEqual([]);
  // The last ones to be ended are noticed by the next request on their connection: four of them at most.
  const get = async () => (await world.api(ada).get("/memories?size=1")).status;
  for (let noticed = 0; noticed < 4; noticed++) await get();
  expect(new Set(await Promise.all(Array.from({ length: 20 }, get)))).toEqual(new Set([200]));
  await admin.end();
});

test("a database that takes connections and says nothing is down for those who ask after health", async () => {
  const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const mute = openDatabase(`postgres://nobody@127.0.0.1:${silent.port}/nothing`);
  const app = await createApp({ ...SETTINGS, newest_migration: newestMigration() }, mute, () => {});
  const started = performance.now();
  const response = await app.handle(new Request("http://localhost/health/ready"));
  expect(response.status).toBe(503);
  expect(performance.now() - started).toBeLessThan(4500);
  silent.stop(true);
  await mute.close();
});
