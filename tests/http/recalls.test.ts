import { afterAll, beforeAll, expect, test } from "bun:test";
import { createApp } from "../../src/app.ts";
import { type Database, openDatabase } from "../../src/db.ts";
import { newestMigration } from "../../src/ops/migration_files.ts";
import { RecallQueue } from "../../src/recalls/queue.ts";
import { startRecallWriter } from "../../src/recalls/writer.ts";
import { ada, ben, cyd, openWorld, type Person, SETTINGS, tokenFor, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

/** The log of a memory as somebody sees it, once everything that waits is written. */
async function logOf(person: Person, id: string, query = "") {
  while ((await world.database.writeRecalls()) > 0);
  return world.api(person).get(`/memories/${id}/access-log${query}`);
}

const store = async (person: Person, content: string, fields: object = {}): Promise<string> =>
  (await world.api(person).post("/memories", { content, ...fields })).body.id;

test("every way to read leaves its entry, over REST and over MCP", async () => {
  const id = await store(ada, "recalled quixotically");
  const api = world.api(ada);
  const { call, client } = await world.assistant(ada, { user_agent: "cursor/1" });
  await api.get(`/memories/${id}`);
  await api.call("HEAD", `/memories/${id}`);
  await api.get("/memories?size=1");
  await api.get("/memories?search_query=quixotically");
  await api.post("/search", { query: "quixotically" });
  await call("get_memory", { memory_id: id });
  await call("list_memories", { limit: 1 });
  await call("search_memory", { query: "quixotically" });
  await client.readResource({ uri: `memory://${id}` });
  await client.getPrompt({ name: "recall_context", arguments: { task: "quixotically" } });
  const { status, body } = await logOf(ada, id);
  expect(status).toBe(200);
  expect(body.items.map(({ app, kind }: { app: string; kind: string }) => `${app} ${kind}`).reverse()).toEqual([
    "rest get",
    "rest get",
    "rest list",
    "rest search",
    "rest search",
    "cursor get",
    "cursor list",
    "cursor search",
    "cursor get",
    "cursor search",
  ]);
  expect(body.items[0]).toEqual({ at: expect.stringMatching(/Z$/), user: "ada", app: "cursor", kind: "search" });
});

test("what shows nothing of it leaves none", async () => {
  const id = await store(ada, "not recalled");
  const api = world.api(ada);
  await api.put(`/memories/${id}`, { category: "decision" });
  await api.get("/memories?category=runbook");
  await api.get(`/memories/${id}/access-log`);
  await world.api(cyd).get(`/memories/${id}`);
  expect((await logOf(ada, id)).body).toEqual({
    items: [],
    total: 0,
    total_is: "exact",
    page: 1,
    size: 20,
    pages: 0,
    next_cursor: null,
  });
});

test("pages, newest first, counted as they hold", async () => {
  const id = await store(ada, "often recalled");
  for (let times = 0; times < 5; times++) await world.api(ada).get(`/memories/${id}`);
  const [first, last] = [await logOf(ada, id, "?size=2"), await logOf(ada, id, "?size=2&page=3")];
  expect([first.body.total, first.body.pages, first.body.items.length, last.body.items.length]).toEqual([5, 3, 2, 1]);
  expect(first.body.items[0].at > last.body.items[0].at).toBe(true);
  expect((await logOf(ada, id, "?page=101&size=100")).body.errors[0].at).toBe("page");
});

test("team-mates see each other's recalls of what they share, and of nothing else", async () => {
  const id = await store(ada, "first mine, then ours");
  await world.api(ada).get(`/memories/${id}`);
  await logOf(ada, id);
  await world.api(ada).put(`/memories/${id}`, { access_entity: "project:acme/web" });
  await world.api(ben).get(`/memories/${id}`);
  const users = ({ body }: Awaited<ReturnType<typeof logOf>>) => body.items.map(({ user }: { user: string }) => user);
  expect(users(await logOf(ben, id))).toEqual(["ben"]); // what ada did alone was in her own space
  expect(users(await logOf(ada, id))).toEqual(["ben", "ada"]);
  expect((await logOf(cyd, id)).status).toBe(404);
  await world.api(ben).delete(`/memories/${id}`);
  expect((await logOf(ben, id)).status).toBe(404);
});

test("the writer is at most a second behind, and writes the rest when it stops", async () => {
  const database = openDatabase(world.urls.service_url, { max: 2 });
  const app = await createApp({ ...SETTINGS, newest_migration: newestMigration() }, database, () => {});
  const writer = startRecallWriter(database, () => {});
  const id = await store(ada, "recalled while it runs");
  const read = async () =>
    app.handle(
      new Request(`http://localhost/api/v1/memories/${id}`, {
        headers: { authorization: `Bearer ${await tokenFor(ada)}` },
      }),
    );
  const entries = async () =>
    (await world.owner`select from brain.memory_access_log where memory_ids @> array[${id}::uuid]`).length;
  await read();
  const deadline = Date.now() + 1000;
  while ((await entries()) === 0 && Date.now() < deadline) await Bun.sleep(20);
  expect(await entries()).toBe(1);
  await read();
  await writer.stop();
  expect(await entries()).toBe(2);
  await database.close();
});

test("what is written is sorted into its index at once: no reader goes through what is left to sort in", async () => {
  const id = await store(ada, "recalled and sorted in");
  await world.api(ada).get(`/memories/${id}`);
  while ((await world.database.writeRecalls()) > 0);
  const sortIn = async () => {
    const [row] = await world.owner<{ pages: number }[]>`
      select gin_clean_pending_list('brain.memory_access_log_memory_ids_idx')::int as pages`;
    return row?.pages;
  };
  expect(await sortIn()).toBe(0);
  await world.owner`update brain.memory_access_log set memory_ids = memory_ids || ${id}::uuid`;
  expect(await sortIn()).toBeGreaterThan(0); // what another way writes is gathered
});

test("while the database is away recalls wait, and are written once it is back", async () => {
  let is_away = true;
  const failed: unknown[] = [];
  const nowhere = openDatabase("postgres://nobody@127.0.0.1:1/nothing");
  const away: Database = { ...world.database, writeRecalls: () => (is_away ? nowhere : world.database).writeRecalls() };
  nowhere
    .callerFor({ org: "acme", sub: "ada", jti: "x", scopes: new Set(), grants: [], expires_at: 0 }, "rest", "")
    .recalled("get", [{ id: crypto.randomUUID() }]);
  const writer = startRecallWriter(away, (level, message) => void failed.push([level, message]));
  await Bun.sleep(1200); // two turns fail and are told of once
  expect(failed).toEqual([["warn", "recalls are not written down just now"]]);
  expect(await nowhere.writeRecalls().catch(() => "still there")).toBe("still there");
  is_away = false;
  await writer.stop();
  await nowhere.close();
});

test("what waits is bounded: the rest is dropped and counted, and what was put back comes first", () => {
  const queue = new RecallQueue();
  const recall = (ids: number) => ({
    org: "acme",
    sub: "ada",
    app: "rest",
    kind: "list" as const,
    at: new Date().toISOString(),
    memory_ids: Array.from({ length: ids }, () => crypto.randomUUID()),
  });
  queue.add(recall(0));
  expect(queue.waiting).toBe(0);
  for (let count = 0; count < 1000; count++) queue.add(recall(100));
  queue.add(recall(1));
  expect([queue.waiting, queue.dropped]).toEqual([1000, 1]);
  const taken = queue.take();
  expect(taken).toHaveLength(50);
  queue.add(recall(1));
  queue.putBack(taken);
  expect([queue.waiting, queue.dropped]).toEqual([1000, 2]); // the newest had no room
  expect(queue.take()).toEqual(taken);
  queue.lose(taken);
  expect(queue.dropped).toBe(52);
});
