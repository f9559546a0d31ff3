import { afterAll, afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { openLocal, partsOf } from "../../src/cli/archives.ts";
import { EXIT } from "../../src/refusal.ts";
import { ourArchive } from "../support/archives.ts";
import { temporaryFolder } from "../support/folder.ts";
import { brain, spawnBrain, startBrain } from "../support/processes.ts";
import { freshDatabase, type TestDatabase } from "../support/server.ts";

/** Exports and imports that are killed or cut off in the middle. */

const MEMORIES = 400;
const folder = temporaryFolder();
const archive = join(folder.path, "archive.zip");
let database: TestDatabase;
let owner: postgres.Sql;
let up: Awaited<ReturnType<typeof startBrain>>;

beforeEach(async () => {
  if (!existsSync(archive)) writeFileSync(archive, await largeArchive());
  database = await freshDatabase();
  owner = postgres(database.owner_url, { max: 2, onnotice: () => {} });
  up = await startService();
}, 30_000);
afterEach(async () => {
  up.process.kill("SIGKILL");
  await up.process.exited;
  await owner.end();
  await database.drop();
}, 30_000);
afterAll(() => folder[Symbol.dispose]());

const startService = () =>
  startBrain(["up"], {
    DATABASE_URL: database.service_url,
    JWT_SECRET_KEY: "s".repeat(32),
    BRAIN_DATA_DIR: join(folder.path, "data"),
  });

const OPEN = { end_date: null, description: null, entities: ["gateway"] };

/** Every memory says a relation and an event; graph.jsonl has some of its own, and a merge. */
function largeArchive() {
  const lines = Array.from({ length: MEMORIES }, (_, place) => ({
    id: crypto.randomUUID(),
    content: `Archived note ${place}: the gateway of team ${place % 7} retries.`,
    relations: [{ from: "gateway", to: `team ${place % 7}`, type: "belongs_to" }],
    events: [{ id: crypto.randomUUID(), name: `Release ${place}`, type: "release", start_date: "2026-03", ...OPEN }],
  }));
  const said = [
    { kind: "relation", from: "gateway", to: "ledger", type: "calls" },
    { kind: "event", id: crypto.randomUUID(), name: "Launch", type: "milestone", start_date: "2026", ...OPEN },
    { kind: "alias", name: "front door", of: "gateway" },
  ];
  return ourArchive(lines, { "graph.jsonl": said.map((line) => `${JSON.stringify(line)}\n`).join("") });
}

const run = (args: string[]) => brain([...args, "--url", up.url], { BRAIN_TOKEN: up.token });
const start = (args: string[]) => spawnBrain([...args, "--url", up.url], { BRAIN_TOKEN: up.token });

const stored = async () => {
  const [counts] = await owner<Record<string, number>[]>`
    select (select count(*)::int from brain.memories) as memories, (select count(*)::int from brain.relations) as relations,
           (select count(*)::int from brain.events) as events, (select count(*)::int from brain.entity_merges) as merges`;
  return counts;
};
const ALL = { memories: MEMORIES, relations: MEMORIES + 1, events: MEMORIES + 1, merges: 1 };

/** Until an import has begun to write: it has been given ids that no other transaction shares. */
async function isWriting() {
  const writing = () => owner`
    select from pg_stat_activity
    where datname = current_database() and backend_xid is not null and pid <> pg_backend_pid()`;
  while ((await writing()).length === 0) await Bun.sleep(5);
}

test("an import whose command is killed, and one more: every memory once", async () => {
  const command = start(["import", archive]);
  await isWriting();
  command.kill("SIGKILL");
  await command.exited;
  expect([0, MEMORIES]).toContain((await stored())?.memories ?? -1); // nobody sees half of it
  // The first one may be at work still in the service, which takes one of a user at a time.
  let again = await run(["import", archive]);
  while (again.err.includes("CONFLICT")) again = await run(["import", archive]);
  expect(again).toMatchObject({ code: 0, err: "" });
  expect(again.out).toContain(
    `SHA-256 of the archive: ${new Bun.CryptoHasher("sha256").update(readFileSync(archive)).digest("hex")}`,
  );
  expect(await stored()).toEqual(ALL);
}, 60_000);

test("an import whose service is killed: 14, nothing half; then all of it, and the third time nothing more", async () => {
  const command = start(["import", archive]);
  await isWriting();
  up.process.kill("SIGKILL");
  expect(await command.exited).toBe(EXIT.service_unreachable);
  await up.process.exited;
  expect(await stored()).toEqual({ memories: 0, relations: 0, events: 0, merges: 0 });
  up = await startService();
  const dry = await run(["import", archive, "--dry-run", "--json"]);
  expect(JSON.parse(dry.out)).toMatchObject({ dry_run: true, created: MEMORIES, skipped: 0 });
  expect((await stored())?.memories).toBe(0);
  expect((await run(["import", archive])).code).toBe(0);
  expect(await stored()).toEqual(ALL);
  const third = await run(["import", archive, "--json"]);
  expect(JSON.parse(third.out)).toMatchObject({ created: 0, skipped: MEMORIES, relations: 0, events: 0, aliases: 0 });
  expect(await stored()).toEqual(ALL);
}, 60_000);

test("an import in parts that ended between two of them goes on; what it left behind is removed", async () => {
  await using local = await openLocal(archive);
  for await (const { path } of partsOf(local, { memories: 150, bytes: 1_000_000 })) {
    expect((await run(["import", path])).code).toBe(0);
    break;
  }
  expect((await stored())?.memories).toBe(150);
  const gone = Bun.spawn(["true"]);
  await gone.exited;
  const left = join(tmpdir(), `coding-brain-part-${gone.pid}-${crypto.randomUUID()}.zip`);
  const in_use = join(tmpdir(), `coding-brain-part-${process.pid}-${crypto.randomUUID()}.zip`);
  writeFileSync(left, "left");
  writeFileSync(in_use, "in use");
  const { out } = await run(["import", archive, "--json"]);
  expect(JSON.parse(out)).toMatchObject({ created: MEMORIES - 150, skipped: 150 });
  expect(await stored()).toEqual(ALL);
  expect([existsSync(left), existsSync(in_use)]).toEqual([false, true]);
  await Bun.file(in_use).delete();
}, 60_000);

test("an export that is killed leaves no file under its name; the next one starts anew", async () => {
  expect((await run(["import", archive])).code).toBe(0);
  const place = join(folder.path, "out.zip");
  const held = await owner.reserve();
  await held`begin`;
  await held`lock table brain.memories in access exclusive mode`; // an export waits there
  const command = start(["export", place]);
  while ((await owner`select from pg_locks where not granted`).length === 0) await Bun.sleep(5);
  command.kill("SIGKILL");
  await command.exited;
  await held`rollback`;
  held.release();
  expect(existsSync(place)).toBe(false);
  writeFileSync(`${place}.part`, "half of one"); // as when it is killed a little later
  let { code, err, out } = await run(["export", place, "--json"]);
  while (err.includes("CONFLICT")) ({ code, err, out } = await run(["export", place, "--json"]));
  expect(code).toBe(0);
  const { sha256, manifest } = JSON.parse(out);
  expect(sha256).toBe(new Bun.CryptoHasher("sha256").update(readFileSync(place)).digest("hex"));
  expect(manifest.counts).toMatchObject({
    memories: MEMORIES,
    relations: MEMORIES + 1,
    events: MEMORIES + 1,
    aliases: 1,
  });
  expect(readdirSync(folder.path).filter((name) => name.endsWith(".part"))).toEqual([]);
}, 60_000);

test("an import that is told of fewer memories than it sent says so", async () => {
  const counts = { created: 3, updated: 0, skipped: 0, rejected: 0, relations: 0, events: 0, aliases: 0 };
  const report = { format: "coding-brain", dry_run: false, ...counts, reasons: [], links_left_out: 0, links: [] };
  using other = Bun.serve({ port: 0, fetch: async () => Response.json(report) });
  const { code, err } = await brain(["import", archive, "--url", other.url.href], { BRAIN_TOKEN: up.token });
  expect({ code, err }).toEqual({
    code: EXIT.import_incomplete,
    err: `The service tells of 3 memories, and the archive has ${MEMORIES}.\n`,
  });
}, 30_000);

test("an answer that is cut off is told of", async () => {
  using other = Bun.serve({ port: 0, fetch: async () => new Response('{"format": "coding-b') });
  const { code, err } = await brain(["import", archive, "--url", other.url.href], { BRAIN_TOKEN: up.token });
  expect({ code, err }).toEqual({
    code: EXIT.service_unreachable,
    err: "The service ended in the middle of its answer; run it again.\n",
  });
}, 30_000);
