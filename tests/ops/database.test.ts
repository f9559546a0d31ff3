import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrate } from "graphile-migrate";
import { clearAllPools } from "graphile-migrate/dist/pgReal.js";
import postgres from "postgres";
import { loadConfig } from "../../src/config.ts";
import { openDatabase } from "../../src/db.ts";
import { startService } from "../../src/main.ts";
import { migrateDatabase } from "../../src/ops/migrate.ts";
import { catalogOf } from "../support/catalog.ts";
import { emptyDatabase, freshDatabase, type TestDatabase } from "../support/server.ts";

const MIGRATIONS = join(import.meta.dir, "../../migrations");

let database: TestDatabase;
beforeAll(async () => {
  database = await freshDatabase();
});
afterAll(() => database.drop());

describe("migrating", () => {
  test("an empty database, by three runners at once, and once more: the same schema, one record", async () => {
    const empty = await emptyDatabase();
    const owner = postgres(empty.owner_url, { max: 1, onnotice: () => {} });
    const other = postgres(database.owner_url, { max: 1, onnotice: () => {} });
    await Promise.all([1, 2, 3].map(() => migrateDatabase(empty.owner_url)));
    const once = await catalogOf(owner);
    await migrateDatabase(empty.owner_url);
    expect(await catalogOf(owner)).toEqual(once);
    expect(once.map(nameless)).toEqual((await catalogOf(other)).map(nameless));
    const records = await owner<{ filename: string }[]>`select filename from graphile_migrate.migrations`;
    const committed = readdirSync(join(MIGRATIONS, "committed")).map((file) => `${file.slice(0, 6)}.sql`);
    expect(records.map(({ filename }) => filename).sort()).toEqual(committed.sort());
    await Promise.all([owner.end(), other.end()]);
    await empty.drop();
  });

  test("what was stored under the first migration keeps its revision and times under the second", async () => {
    const old = await emptyDatabase();
    const first_only = mkdtempSync(join(tmpdir(), "coding-brain-first-"));
    mkdirSync(join(first_only, "committed"));
    cpSync(join(MIGRATIONS, "committed/000001-first-light.sql"), join(first_only, "committed/000001-first-light.sql"));
    await migrate({ connectionString: old.owner_url, migrationsFolder: first_only });
    clearAllPools();
    const owner = postgres(old.owner_url, { max: 1, onnotice: () => {} });
    await owner`select app.provision('acme', 'ada', '{}', '{}', 'rest')`;
    await owner`
      insert into brain.memories (org_id, id, space_id, owner_id, owner, app_id, app, content, created_at, updated_at)
      select users.org_id, gen_random_uuid(), spaces.id, users.id, sub, apps.id, 'rest', content, at, at
      from brain.users join brain.apps on owner_id = users.id join brain.spaces on spaces.org_id = users.org_id,
           (values ('once', timestamptz '2026-01-01'), ('twice', '2026-01-02'), ('twice', '2026-01-03')) as told (content, at)`;
    await migrateDatabase(old.owner_url);
    const rows = await owner<object[]>`
      select content, state, revision, updated_by, created_at = updated_at as is_unchanged,
             (select count(*)::int from brain.memory_revisions where memory_id = memories.id) as revisions
      from brain.memories order by created_at`;
    const untouched = { state: "active", revision: 1, updated_by: "ada", is_unchanged: true, revisions: 0 };
    expect([...rows]).toEqual([
      { content: "once", ...untouched },
      { content: "twice", ...untouched },
      { content: "twice", state: "archived", revision: 2, updated_by: "ada", is_unchanged: false, revisions: 1 },
    ]);
    await owner.end();
    await old.drop();
    rmSync(first_only, { recursive: true });
  });

  test("as a role that may not is refused, and leaves no connection behind", async () => {
    const empty = await emptyDatabase();
    await expect(migrateDatabase(empty.service_url)).rejects.toMatchObject({ exit: "owner_refused" });
    await empty.drop();
  });

  test("without a server is refused with a sentence", async () => {
    await expect(migrateDatabase("postgres://nobody@127.0.0.1:1/nothing")).rejects.toThrow(
      /does not answer: .*ECONNREFUSED/,
    );
  });
});

/** Object ids of comments differ between databases. */
const nameless = (item: string) => item.replace(/^comment \d+/, "comment");

describe("the role check", () => {
  const faults = async (url: string) => {
    const opened = openDatabase(url, { max: 1 });
    return opened
      .facts()
      .then((facts) => facts.faults)
      .finally(() => opened.close());
  };

  test("finds nothing wrong with the service's role", async () => {
    expect(await faults(database.service_url)).toEqual([]);
  });

  test("refuses the owner", async () => {
    const found = (await faults(database.owner_url)).join();
    expect(found).toContain("owns something");
    expect(found).toContain("not a member of brain_app");
  });

  test("refuses a superuser", async () => {
    expect((await faults(database.admin_url)).join()).toContain("is a superuser");
  });

  test.each([
    ["bypassrls", "bypasses row-level security"],
    ["createrole", "may create roles"],
    ["replication", "may create roles or databases, or replicate"],
    ["in role pg_read_all_data", "of more than brain_app"],
  ])("of a role with %s says: %s", async (attribute, said) => {
    const admin = postgres(database.admin_url, { max: 1, onnotice: () => {} });
    const name = `brain_test_odd_${crypto.randomUUID().slice(0, 8)}`;
    await admin.unsafe(`create role ${name} login password 'odd' ${attribute}; grant brain_app to ${name}`).simple();
    const url = new URL(database.admin_url);
    Object.assign(url, { username: name, password: "odd" });
    const found = await faults(url.href);
    await admin.unsafe(`drop role ${name}`);
    await admin.end();
    expect(found.join()).toContain(said);
  });

  test("a role with rights of its own is refused", async () => {
    const owner = postgres(database.owner_url, { max: 1, onnotice: () => {} });
    const service = new URL(database.service_url).username;
    await owner.unsafe(`grant update on brain.memories to ${service}`);
    const found = await faults(database.service_url);
    await owner.unsafe(`revoke update on brain.memories from ${service}`);
    await owner.end();
    expect(found.join()).toContain("holds rights of its own");
  });

  test("a role that owns one function is refused", async () => {
    const admin = postgres(database.admin_url, { max: 1, onnotice: () => {} });
    const service = new URL(database.service_url).username;
    await admin
      .unsafe(
        `create function public.mine() returns int language sql as 'select 1'; alter function public.mine() owner to ${service}`,
      )
      .simple();
    const found = await faults(database.service_url);
    await admin.unsafe("drop function public.mine()");
    await admin.end();
    expect(found.join()).toContain("owns something");
  });

  test.each(["owner_url", "admin_url"] as const)("the service does not start with %s", async (url) => {
    const config = loadConfig({ PORT: "0" });
    await expect(startService(config, database[url], "s".repeat(32), () => {})).rejects.toMatchObject({
      exit: "role_refused",
    });
  });

  test("a database that is not UTF-8 is refused", async () => {
    const admin = postgres(database.admin_url, { max: 1, onnotice: () => {} });
    const name = `${new URL(database.owner_url).pathname.slice(1)}_ascii`;
    await admin.unsafe(`create database ${name} template template0 encoding 'SQL_ASCII' locale 'C'`);
    const url = new URL(database.service_url);
    url.pathname = `/${name}`;
    await expect(startService(loadConfig({ PORT: "0" }), url.href, "s".repeat(32), () => {})).rejects.toMatchObject({
      exit: "not_utf8",
      message: expect.stringContaining("SQL_ASCII"),
    });
    await admin.unsafe(`drop database ${name}`);
    await admin.end();
  });
});

test("a service on a database without migrations is not ready, and says what to do", async () => {
  const empty = await emptyDatabase();
  const service = await startService(loadConfig({ PORT: "0" }), empty.service_url, "s".repeat(32), () => {});
  const response = await fetch(`${service.url}/health/ready`);
  expect({ status: response.status, body: await response.json() }).toMatchObject({
    status: 503,
    body: { code: "UNAVAILABLE", detail: expect.stringContaining("brain migrate") },
  });
  await service.stop();
  await empty.drop();
});
