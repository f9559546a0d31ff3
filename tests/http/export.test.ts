import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { openSpool } from "../../src/backup/spool.ts";
import { backups, membersOf } from "../support/archives.ts";
import { ada, ben, cyd, DATA_DIR, eve, openWorld, type Person, tokenFor, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const SPACE = "project:acme/web";
// biome-ignore lint/suspicious/noExplicitAny: lines of every shape
type Json = any;
const linesIn = (text = ""): Json[] =>
  text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
const exported = async (person: Person, request: object = {}) =>
  membersOf(await backups(world, person).export(request));
const contentsOf = async (person: Person, request: object = {}) =>
  linesIn((await exported(person, request))["memories.jsonl"]).map(({ content }) => content);

test("the archive has what its manifest says, byte for byte", async () => {
  const me: Person = { org: "manifest", sub: "ada" };
  for (const content of ["one", "two"]) await world.api(me).post("/memories", { content });
  const { "manifest.json": text = "", ...members } = await exported(me);
  const manifest = JSON.parse(text);
  expect(manifest).toMatchObject({ format: "coding-brain", version: 1, org: "manifest", user: "ada", filter: {} });
  expect(manifest.counts).toEqual({ memories: 2, revisions: 0, relations: 0, events: 0, aliases: 0 });
  expect(manifest.members).toEqual(
    Object.entries(members).map(([name, content]) => ({
      name,
      bytes: Buffer.byteLength(content),
      sha256: new Bun.CryptoHasher("sha256").update(content).digest("hex"),
    })),
  );
  expect(Object.keys(members)).toEqual(["memories.jsonl", "graph.jsonl", "memories.json"]);
});

test("each sees their own and what is shared with them, in whatever state, and the history they may read", async () => {
  const post = async (person: Person, fields: object) => (await world.api(person).post("/memories", fields)).body.id;
  await post(ada, { content: "ada's own" });
  const moved = await post(ada, { content: "ada's before it was shared" });
  await world.api(ada).put(`/memories/${moved}`, { content: "shared", access_entity: SPACE });
  await post(cyd, { content: "cyd's own" });
  const deleted = await post(ben, { content: "deleted", access_entity: SPACE });
  await world.api(ben).delete(`/memories/${deleted}`);
  expect(await contentsOf(ada)).toEqual(["ada's own", "shared", "deleted"]);
  expect(await contentsOf(ben)).toEqual(["shared", "deleted"]);
  expect(await contentsOf(cyd)).toEqual(["cyd's own"]);
  expect(await contentsOf(eve)).toEqual([]);
  const revisionsOf = async (person: Person) =>
    linesIn((await exported(person))["memories.jsonl"]).find(({ content }) => content === "shared").revisions;
  expect(await revisionsOf(ada)).toMatchObject([
    { revision: 1, content: "ada's before it was shared", access_entity: "user:ada", updated_by: "ada" },
  ]);
  expect(await revisionsOf(ben)).toEqual([]);
});

test("a request names a part: spaces, apps, categories, states, times", async () => {
  const me: Person = { org: "parts", sub: "ada", grants: [SPACE] };
  for (const [content, more] of [
    ["a", { category: "decision" }],
    ["b", { access_entity: SPACE }],
    ["c", { category: "runbook" }],
    ["d", {}],
  ] as const)
    await world.api(me).post("/memories", { content, ...more });
  await world.owner`update brain.memories set state = 'archived' where content = 'd' and org_id = app.org_key('parts')`;
  await world.owner`update brain.memories set created_at = '1970-01-01' where content = 'c' and org_id = app.org_key('parts')`;
  const [{ app_id }] = linesIn((await exported(me))["memories.jsonl"]);
  for (const [request, contents] of [
    [{}, ["c", "a", "b", "d"]],
    [{ access_entity: SPACE }, ["b"]],
    [{ access_entities: [SPACE, "user:ada"], categories: ["decision", "note"] }, ["a", "b", "d"]],
    [{ access_entity: "org:acme" }, []],
    [{ category: "decision" }, ["a"]],
    [{ states: ["archived"] }, ["d"]],
    [{ app_id, states: ["active"] }, ["c", "a", "b"]],
    [{ app_ids: [crypto.randomUUID()] }, []],
    [{ to_date: 0 }, ["c"]],
    [{ from_date: "2020-01-01T00:00:00Z", include_vectors: true }, ["a", "b", "d"]],
  ] as const)
    expect([request, await contentsOf(me, request)]).toEqual([request, [...contents]] as never);
  // What no memory says goes with whole spaces only.
  expect(Object.keys(await exported(me, { category: "decision" }))).not.toContain("graph.jsonl");
  expect(Object.keys(await exported(me, { access_entity: SPACE }))).toContain("graph.jsonl");
});

test("without a body it is all there is", async () => {
  const headers = { authorization: `Bearer ${await tokenFor(cyd)}` };
  const request = new Request("http://localhost/api/v1/backup/export", { method: "POST", headers });
  const response = await world.app.handle(request);
  expect(response.status).toBe(200);
  const { "memories.jsonl": lines } = await membersOf(new Uint8Array(await response.arrayBuffer()));
  expect(linesIn(lines).map(({ content }) => content)).toEqual(["cyd's own"]);
});

test.each([
  [{ app: "x" }, ["app"]],
  [{ access_entity: "nowhere" }, ["access_entity"]],
  [{ access_entity: SPACE, access_entities: [SPACE] }, ["access_entity"]],
  [{ category: "gossip" }, ["category"]],
  [{ states: ["lost"] }, ["states.0"]],
  [{ states: [] }, ["states"]],
  [{ from_date: "yesterday" }, ["from_date"]],
  [{ to_date: -1 }, ["to_date"]],
  [{ app_id: "1" }, ["app_id"]],
])("%j is refused", async (request, places) => {
  const { status, body } = await world.api(ada).post("/backup/export", request);
  expect([status, body.code, body.errors.map(({ at }: { at: string }) => at)]).toEqual([422, "INVALID_INPUT", places]);
});

test("a long history goes on in further lines, and is read back as one memory", async () => {
  const me: Person = { org: "long history", sub: "ada" };
  const { body: memory } = await world.api(me).post("/memories", { content: "revision 1" });
  for (let revision = 2; revision <= 82; revision++)
    await world.api(me).put(`/memories/${memory.id}`, { content: `revision ${revision} ${"ä".repeat(32_000)}` });
  await world.api(me).post("/memories", { content: "after it" });
  const archive = await backups(world, me).export();
  const lines = linesIn((await membersOf(archive))["memories.jsonl"]);
  expect(lines.map(({ continues, content }) => continues ?? content.slice(0, 11))).toEqual([
    "revision 82",
    true,
    "after it",
  ]);
  expect(lines.flatMap(({ revisions }) => revisions.map(({ revision }: Json) => revision))).toEqual(
    Array.from({ length: 81 }, (_, index) => index + 1),
  );
  expect(Buffer.byteLength(JSON.stringify(lines[0]))).toBeLessThan(10_000_000);
  const to: Person = { org: "long history, again", sub: "ada" };
  expect((await backups(world, to).import(archive)).body).toMatchObject({ created: 2, rejected: 0 });
}, 30_000);

test("an export shows one moment, while others write", async () => {
  const me: Person = { org: "one moment", sub: "ada" };
  await world
    .api(me)
    .post("/memories/batch", { memories: Array.from({ length: 100 }, (_, index) => ({ content: `before ${index}` })) });
  const writing = Array.from({ length: 20 }, (_, index) =>
    world.api(me).post("/memories", { content: `meanwhile ${index}` }),
  );
  const {
    "memories.jsonl": lines = "",
    "memories.json": document = "",
    "manifest.json": manifest = "",
  } = await exported(me);
  await Promise.all(writing);
  const count = linesIn(lines).length;
  expect(JSON.parse(document).memories.length).toBe(count);
  expect(JSON.parse(manifest).counts.memories).toBe(count);
});

/** Files of this process that have no name any more and lie in the spool. */
const spooled = () =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(join(DATA_DIR, "spool"));
    } catch {
      return false; // closed meanwhile
    }
  }).length;

test("a client that goes away leaves no file and no place behind; one that reads slowly holds no connection", async () => {
  const me: Person = { org: "slow", sub: "ada" };
  // One long word: of many, the search keeps an account.
  const noise = () => crypto.getRandomValues(new Uint8Array(40_000)).toBase64().replace(/[+/=]/g, "x");
  // Six megabytes: what a slow reader has not read must not find room in the buffers of the system.
  for (let batch = 0; batch < 10; batch++)
    await world.api(me).post("/memories/batch", { memories: Array.from({ length: 15 }, () => ({ content: noise() })) });
  const server = Bun.serve({ port: 0, fetch: (request) => world.app.handle(request) });
  const start = async () => {
    const abort = new AbortController();
    const response = await fetch(`${server.url}api/v1/backup/export`, {
      method: "POST",
      headers: { authorization: `Bearer ${await tokenFor(me)}`, "content-type": "application/json" },
      body: "{}",
      signal: abort.signal,
    });
    return { response, abort };
  };
  const first = await start();
  expect([first.response.status, first.response.headers.get("content-type"), spooled()]).toEqual([
    200,
    "application/zip",
    1,
  ]);
  const reader = first.response.body?.getReader();
  await reader?.read();
  // Of one user one at a time, slow or not.
  const second = await start();
  expect([second.response.status, (await second.response.json()) as unknown]).toEqual([
    409,
    expect.objectContaining({ code: "CONFLICT" }),
  ]);
  // Nobody's transaction waits for the reader.
  expect(
    await world.owner`select from pg_stat_activity where datname = current_database() and state like 'idle in%'`,
  ).toEqual([] as never);
  await reader?.cancel();
  first.abort.abort();
  for (let tries = 0; tries < 200 && spooled() > 0; tries++) await Bun.sleep(10);
  expect(spooled()).toBe(0);
  const third = await start();
  expect(third.response.status).toBe(200);
  expect(Object.keys(await membersOf(new Uint8Array(await third.response.arrayBuffer())))).toContain("manifest.json");
  for (let tries = 0; tries < 200 && spooled() > 0; tries++) await Bun.sleep(10);
  expect(spooled()).toBe(0);
  await server.stop(true);
}, 30_000);

test("the spool is its owner's alone, its files have no names, and what a crash leaves is swept", async () => {
  const folder = join(DATA_DIR, "spool");
  const spool = openSpool(DATA_DIR);
  await using file = await spool.file();
  await file.write(Buffer.from("secret"));
  expect([readdirSync(folder), statSync(folder).mode & 0o777]).toEqual([[], 0o700]);
  await Bun.write(join(folder, "left"), "by a crash");
  await spool.sweep();
  expect(readdirSync(folder)).toEqual([]);
  expect(await Array.fromAsync(file.read(), String)).toEqual(["secret"]);
  await openSpool(join(DATA_DIR, "never used")).sweep();
});

test("an export whose reading fails in the middle is a problem of its own: the service goes on, and so does the next", async () => {
  const own = await openWorld();
  await own.api(ada).post("/memories", { content: "Read half of it." });
  const held = await own.owner.reserve();
  await held`begin`;
  await held`lock table brain.relations in access exclusive mode`; // what is said with a memory: the zip is begun by then
  const broken = own.api(ada).post("/backup/export", {});
  const admin = postgres(own.urls.admin_url, { max: 1, onnotice: () => {} });
  const waiting = () => admin<{ pid: number }[]>`
    select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = ${new URL(own.urls.owner_url).pathname.slice(1)}`;
  let pid: number | undefined;
  while (pid === undefined) pid = (await waiting())[0]?.pid;
  await admin`select pg_cancel_backend(${pid})`;
  expect((await broken).status).toBeGreaterThanOrEqual(500);
  await held`rollback`;
  held.release();
  expect(await membersOf(await backups(own, ada).export({}))).toMatchObject({
    "memories.jsonl": expect.stringContaining("Read half of it."),
  });
  await admin.end();
  await own.close();
});
