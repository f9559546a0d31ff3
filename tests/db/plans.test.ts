import { afterAll, beforeAll, expect, test } from "bun:test";
import postgres from "postgres";
import type { Caller, Database } from "../../src/db.ts";
import { workOnce } from "../../src/embeddings/worker.ts";
import { deleteAllMemories } from "../../src/memories/delete.ts";
import { filterOf } from "../../src/memories/filter.ts";
import type { MemoryFilter } from "../../src/memories/filter_schema.ts";
import { listMemories } from "../../src/memories/list.ts";
import { addMemories, addMemory, updateMemory } from "../../src/memories/service.ts";
import { suggest } from "../../src/memories/suggest.ts";
import { accessLog } from "../../src/recalls/service.ts";
import { searchMemories } from "../../src/search/service.ts";
import { openStandIn } from "../support/embedder.ts";
import { countedOf, rowsReadOf } from "../support/reads.ts";
import { openWorld, type World } from "../support/world.ts";

/**
 * What a caller with few rows costs beside a colleague with many. Counted in rows read, not in time: reading a
 * colleague's rows, even to throw them away, would tell about them by the clock.
 */
let world: World;
const MANY = 10_001;
const FEW = 30;

beforeAll(async () => {
  world = await openWorld();
  for (const sub of ["many", "few"]) await world.api({ org: "acme", sub }).post("/memories", { content: "first" });
  for (const [sub, from, to] of parts())
    await world.owner`
      insert into brain.memories (org_id, id, space_id, owner_id, owner, updated_by, app_id, app, content, category, entities,
                                  tags, created_at)
      select org_id, gen_random_uuid(), spaces.id, owner_id, sub, sub, apps.id, 'rest', 'row ' || n,
             case when n % 10 = 0 then 'decision' else 'note' end, array['thing ' || n],
             jsonb_build_object(case sub when 'many' then 'theirs ' else 'own ' end || n, true, 'common', true,
                                'half', n % 2, 'hundredth', n % 100), now() - n * interval '1 second'
      from brain.users join brain.apps using (org_id) join brain.spaces using (org_id), generate_series(${from}::int, ${to}::int) as n
      where sub = ${sub} and owner_id = users.id and access_entity = 'user:' || sub`;
  await world.owner`analyze brain.memories, brain.memory_tags`;
}, 120_000);
afterAll(() => world.close());

/** Whose rows, from which to which, a thousand at a time: one statement for all of them takes longer. */
function* parts(): Generator<[sub: string, from: number, to: number]> {
  for (const [sub, rows] of Object.entries({ many: MANY, few: FEW - 1 }))
    for (let from = 1; from <= rows; from += 1000) yield [sub, from, Math.min(rows, from + 999)];
}

type Work = (database: Database) => Promise<unknown>;

/** Rows of memories and of their tags read by some work of the few's. */
const rowsRead = (work: Work, of: World = world) =>
  countedOf(
    of,
    async (sql) => {
      const [row] = await sql<{ read: number }[]>`
        select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::int as read
        from pg_stat_get_snapshot_timestamp() as cleared, pg_stat_user_tables
        where relid in ('brain.memories'::regclass, 'brain.memory_tags'::regclass)`;
      return row?.read ?? 0;
    },
    work,
  );

/** Entries of the indices of memories that some work has read, whether the row was looked at or not. */
const entriesRead = (work: Work) =>
  countedOf(
    world,
    async (sql) => {
      const [row] = await sql<{ read: number }[]>`
        select sum(idx_tup_read)::int as read
        from pg_stat_get_snapshot_timestamp() as cleared, pg_stat_user_indexes
        where relid = 'brain.memories'::regclass`;
      return row?.read ?? 0;
    },
    work,
  );

const few = { org: "acme", sub: "few", jti: "x", scopes: new Set<string>(), grants: ["user:few"], expires_at: 0 };

test.each([
  ["a page", {}, {}],
  ["a page and its total", { size: 5 }, {}],
  ["a page in the order of contents", { sort_column: "content" as const }, {}],
  ["a page in the order of changes", { sort_column: "updated_at" as const, size: 5 }, {}],
  ["the oldest of a category", { sort_direction: "asc" as const }, { category: "note" as const }],
  ["a filtered page", {}, { category: "decision" as const }],
  ["a page of one tag", {}, { tag: "env=prod", evidence: ["x"] }],
  ["a page by any of some tags", {}, { tag: ["env=prod", "ok"], match: "any" as const }],
  ["a page about something", {}, { entity: "Bun", app: "rest", scope: "user" as const }],
  ["a page by a tag that both use", {}, { tag: "common" }],
  ["a page by a tag and value that both use", {}, { tag: "half=1" }],
  ["a page by a tag only the colleague uses", {}, { tag: "theirs 77" }],
  ["a page of an artifact", {}, { artifact_ref: "src/index.ts" }],
  ["a page of a source", {}, { source: "import" as const }],
  ["a state with no rows", {}, { state: "archived" as const }],
  ["a search", { search_query: "row" }, {}],
  ["a search for a word only the colleague uses", { search_query: "9999" }, {}],
])("%s reads no more than the caller's own rows", async (_what, query, filter) => {
  const rows = await rowsRead(async (database) => {
    // Often enough for the driver's prepared statement to get its generic plan.
    for (let times = 0; times < 8; times++)
      await listMemories(database.callerFor(few, "rest", ""), query, filterOf(filter));
  });
  expect(rows / 8).toBeLessThanOrEqual(FEW * 4);
});

test.each<[what: string, (caller: Caller) => Promise<unknown>]>([
  ["completing an entity", (caller) => suggest(caller, "entity", "")],
  ["completing a tag only the colleague uses", (caller) => suggest(caller, "tag", "theirs")],
  ["counting what would be deleted", (caller) => deleteAllMemories(caller, { expected: -1 }).catch(() => {})],
])("%s reads no more than the caller's own rows", async (_what, work) => {
  const rows = await rowsRead(async (database) => {
    for (let times = 0; times < 8; times++) await work(database.callerFor(few, "rest", ""));
  });
  expect(rows / 8).toBeLessThanOrEqual(FEW * 4);
});

test("a stretch of time is found where it begins, and nothing is counted for what spaces keep the sizes of", async () => {
  const many = { ...few, sub: "many", grants: ["user:many"] };
  const list = (filter: MemoryFilter) => (database: Database) =>
    listMemories(database.callerFor(many, "rest", ""), { size: 5 }, filterOf(filter));
  const [{ at } = { at: "" }] = await world.owner<{ at: string }[]>`
    select to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as at
    from brain.memories where content = 'row 9000' and owner = 'many'`;
  expect(await entriesRead(list({ to_date: at }))).toBeLessThan(1100); // the thousand that are older
  expect(await entriesRead(list({ from_date: at, to_date: at }))).toBeLessThan(20);
  expect(await entriesRead(list({ category: "decision" }))).toBeLessThan(20); // of a thousand
  expect(await entriesRead(list({ scope: "user" }))).toBeLessThan(20); // of ten
});

test.each<[what: string, work: (caller: Caller, id: string) => Promise<unknown>]>([
  ["storing what is there already", (caller) => addMemory(caller, { content: "row 5000" })],
  ["saying what another says", (caller, id) => updateMemory(caller, id, { content: "row 5000" }).catch(() => {})],
])("%s looks for the other one by its key", async (_what, work) => {
  const [{ id } = { id: "" }] = await world.owner<{ id: string }[]>`
    select id from brain.memories where content = 'row 77' and owner = 'many'`;
  const rows = await rowsRead(async (database) => {
    for (let times = 0; times < 8; times++)
      await work(database.callerFor({ ...few, sub: "many", grants: ["user:many"] }, "rest", ""), id);
  });
  expect(rows / 8).toBeLessThan(20); // of ten thousand
});

test("more than 10,000 are counted as at least that many", async () => {
  const { body } = await world.api({ org: "acme", sub: "many" }).get("/memories?size=1");
  expect({ total: body.total, total_is: body.total_is, pages: body.pages }).toEqual({
    total: 10_000,
    total_is: "at_least",
    pages: 10_000,
  });
  const { body: found } = await world.api({ org: "acme", sub: "many" }).post("/search", { query: "row", limit: 1 });
  expect(found.total_count).toBe(100);
});

test.each([
  ["tag=common", 10_000, "at_least"],
  ["tag=half=1", 5001, "exact"],
  ["tag=half=1&states=active,archived", 5001, "exact"],
  ["tag=hundredth=7", 100, "exact"],
  ["tag=hundredth=7&tag=half=0", 0, "exact"],
  ["tag=hundredth=20&category=decision", 100, "exact"],
  ["tag=theirs%20500", 1, "exact"],
  ["tag=half=1&category=note", 5001, "exact"],
  ["tag=half=0&category=decision", 1000, "exact"],
  ["tag=nothing", 0, "exact"],
  ["category=decision", 1000, "exact"],
  ["entity=thing-77", 1, "exact"],
])("%s is counted as the pages hold it, few or many", async (query, total, total_is) => {
  const api = world.api({ org: "acme", sub: "many" });
  const { body } = await api.get(`/memories?size=20&${query}`);
  expect([body.total, body.total_is, body.items.length]).toEqual([total, total_is, Math.min(20, total)]);
  const { body: next } = await api.get(`/memories?size=20&page=2&${query}`);
  expect([next.total, next.total_is]).toEqual([total, total_is]);
  const ids = [...body.items, ...next.items].map(({ id }: { id: string }) => id);
  expect(new Set(ids).size).toBe(Math.min(40, total));
  const times = [...body.items, ...next.items].map(({ created_at }: { created_at: string }) => created_at);
  expect(times).toEqual(times.toSorted().toReversed());
  const cursor = body.next_cursor;
  if (cursor) expect((await api.get(`/memories?size=20&cursor=${cursor}&${query}`)).body.items).toEqual(next.items);
  expect((await api.get(`/memories?size=100&page=100&${query}`)).body.total).toBe(total);
});

test("a filter finds the last of more than 10,000 hits, not only what was left after a cut", async () => {
  const many = world.api({ org: "acme", sub: "many" });
  const { body } = await many.post("/memories", { content: `row ${"padding ".repeat(500)}`, source: "import" });
  const { body: found } = await many.get("/memories?search_query=row&source=import");
  expect({ ids: found.items.map(({ id }: { id: string }) => id), total: found.total }).toEqual({
    ids: [body.id],
    total: 1,
  });
});

test("another order than newest first reads no more than the caller's own rows, beside a hundred thousand", async () => {
  // At ten thousand the planner still came to the caller's rows by itself. Past triggers and keys: only these rows are read.
  const large = await openWorld();
  const grants = ["project:acme/web", "project:acme/api", "team:acme/web/core"];
  const spaces = ["user:many", ...grants];
  for (const access_entity of spaces)
    await large.api({ org: "acme", sub: "many", grants }).post("/memories", { content: "first", access_entity });
  await large.api({ org: "acme", sub: "few" }).post("/memories", { content: "first" });
  const admin = postgres(large.urls.admin_url, { max: 1, connection: { session_replication_role: "replica" } });
  await admin`
    insert into brain.memories (org_id, id, space_id, owner_id, owner, updated_by, app_id, app, content, created_at)
    select org_id, gen_random_uuid(), spaces.id, owner_id, sub, sub, apps.id, 'rest', 'row ' || n || repeat(' and on', 15),
           now() - n * interval '1 second'
    from (values ('many', 100000, ${spaces}::text[]), ('few', ${FEW - 1}::int, array['user:few'])) as part (whose, rows, kept_in)
    join brain.users on sub = whose
    join brain.apps using (org_id)
    cross join generate_series(1, rows) as n
    join brain.spaces using (org_id)
    where owner_id = users.id and access_entity = kept_in[1 + n % cardinality(kept_in)]`;
  await admin.end();
  await large.owner`vacuum analyze`; // the few spaces too: what is known of them leads astray
  const read = await rowsRead(async (database) => {
    for (const sort_column of ["content", "updated_at", "app_name", "category"] as const)
      for (let times = 0; times < 8; times++)
        await listMemories(database.callerFor(few, "rest", ""), { sort_column }, filterOf({}));
  }, large);
  await large.close();
  expect(read / 32).toBeLessThanOrEqual(FEW * 4);
}, 60_000);

/** Counts the spaces that have been read, and the keys of spaces. */
const spacesRead = async (sql: postgres.Sql) => {
  const [row] = await sql<{ read: number }[]>`
    select (select seq_tup_read from pg_stat_user_tables where relid = 'brain.spaces'::regclass)::int
           + (select sum(idx_tup_read) from pg_stat_user_indexes where relid = 'brain.spaces'::regclass)::int as read
    from pg_stat_get_snapshot_timestamp() as cleared`;
  return row?.read ?? 0;
};

test("spaces of colleagues are not read, in a large org beside thousands of orgs with one", async () => {
  const fresh = await openWorld();
  for (const category of ["note", "decision", "runbook"])
    await fresh.api({ org: "acme", sub: "few" }).post("/memories", { content: `row ${category}`, category });
  const admin = postgres(fresh.urls.admin_url, { max: 1, connection: { session_replication_role: "replica" } });
  await admin`
    insert into brain.spaces (org_id, access_entity)
    select org_id, 'user:' || n from brain.orgs cross join generate_series(1, 2000) as n
    union all
    select md5('org ' || n)::uuid, 'user:1' from generate_series(1, 2000) as n`;
  await admin`vacuum analyze`;
  await admin.end();
  const read = await countedOf(fresh, spacesRead, async (database) => {
    for (let times = 0; times < 8; times++) await listMemories(database.callerFor(few, "rest", ""), {}, filterOf({}));
  });
  await fresh.close();
  expect(read / 8).toBeLessThan(10); // of two thousand, on the way in and in each statement
});

test("spaces of other orgs are not read, though each has one of the same name", async () => {
  const fresh = await openWorld();
  await fresh.api({ org: "acme", sub: "few" }).post("/memories", { content: "row" });
  const admin = postgres(fresh.urls.admin_url, { max: 1, connection: { session_replication_role: "replica" } });
  await admin`
    insert into brain.spaces (org_id, access_entity)
    select md5('org ' || n)::uuid, 'user:few' from generate_series(1, 1000) as n`;
  await admin`vacuum analyze`;
  await admin.end();
  const read = await countedOf(fresh, spacesRead, async (database) => {
    for (let times = 0; times < 8; times++) await listMemories(database.callerFor(few, "rest", ""), {}, filterOf({}));
  });
  await fresh.close();
  expect(read / 8).toBeLessThan(10);
});

test("a search looks up the entities it may name by their keys, however many there are beside them", async () => {
  const fresh = await openWorld();
  await fresh.api({ org: "acme", sub: "few" }).post("/memories", { content: "row", entities: ["thing 7"] });
  const admin = postgres(fresh.urls.admin_url, { max: 1, connection: { session_replication_role: "replica" } });
  await admin`
    insert into brain.entities (org_id, space_id, key, display_name)
    select org_id, space_id, 'name-' || n, 'name ' || n
    from (select org_id, id from brain.spaces
          union all select md5('org ' || n)::uuid, 1 from generate_series(1, 20) as n) as places (org_id, space_id)
    cross join generate_series(1, 1000) as n`;
  await admin`vacuum analyze`;
  await admin.end();
  const read = await countedOf(fresh, rowsReadOf("brain.entities"), async (database) => {
    for (let times = 0; times < 8; times++)
      await searchMemories(database.callerFor(few, "rest", ""), { query: "row of thing 7" });
  });
  await fresh.close();
  expect(read / 8).toBeLessThan(10); // of the thousand of its own
});

test("a page of who was shown a memory reads the entries of that page, and no colleague's", async () => {
  const fresh = await openWorld();
  const { body } = await fresh.api({ org: "acme", sub: "few" }).post("/memories", { content: "row" });
  await fresh.api({ org: "acme", sub: "many" }).post("/memories", { content: "row" });
  const admin = postgres(fresh.urls.admin_url, { max: 1, connection: { session_replication_role: "replica" } });
  await admin`
    insert into brain.memory_access_log (org_id, space_id, at, user_id, sub, app, kind, memory_ids)
    select org_id, spaces.id, now() - n * interval '1 second', users.id, sub, 'rest', 'list',
           array_fill(case sub when 'few' then ${body.id}::uuid else gen_random_uuid() end, array[20])
    from (values ('many', 300), ('few', 30)) as part (whose, recalls)
    join brain.users on sub = whose
    join brain.spaces using (org_id)
    cross join generate_series(1, recalls) as n
    where access_entity = 'user:' || sub`;
  await admin`vacuum analyze`;
  await admin.end();
  const read = await countedOf(fresh, rowsReadOf("brain.memory_access_log"), async (database) => {
    for (let times = 0; times < 8; times++)
      expect((await accessLog(database.callerFor(few, "rest", ""), body.id, { size: 5 })).total).toBe(30);
  });
  await fresh.close();
  expect(read / 8).toBeLessThanOrEqual(30 * 2 + 5); // what is about it, for the page and for the total, and the page
});

test("a sealer reads the events it chains, whatever the planner knows of those that are chained", async () => {
  const fresh = await openWorld();
  await fresh.api({ org: "acme", sub: "few" }).post("/memories", { content: "row" });
  await fresh.owner`analyze brain.audit_events`; // of one event
  const plant = (events: number) =>
    fresh.owner`
      insert into brain.audit_events (org_id, action) select app.org_key('acme'), 'planted' from generate_series(1, ${events})`;
  await plant(3000);
  while ((await fresh.database.sealAudit(10_000)) > 0);
  await fresh.owner`vacuum brain.audit_events`;
  await plant(30);
  const read = await countedOf(fresh, rowsReadOf("brain.audit_events"), async (database) => {
    expect(await database.sealAudit(1000)).toBe(30);
  });
  await fresh.close();
  expect(read).toBeLessThanOrEqual(30 * 5); // to see that they are there, what they say, by key, to be written
});

test("a worker looks what it embeds up by key, in a space that nobody has analyzed", async () => {
  const stand_in = openStandIn();
  const fresh = await openWorld();
  const { post } = fresh.api({ org: "acme", sub: "few" });
  await post("/memories", { content: "the first" });
  await fresh.database.openEmbeddingSpaces("stand-in", 64);
  await post("/memories/batch", { memories: Array.from({ length: 50 }, (_, n) => ({ content: `row ${n}` })) });
  const admin = postgres(fresh.urls.admin_url, { max: 1, connection: { session_replication_role: "replica" } });
  await admin`
    insert into brain.memories (org_id, id, space_id, owner_id, owner, updated_by, app_id, app, content)
    select org_id, gen_random_uuid(), space_id, owner_id, owner, owner, app_id, app, 'memory ' || n
    from brain.memories cross join generate_series(1, 3000) as n where content = 'the first'`;
  await admin.end();
  const read = await countedOf(fresh, rowsReadOf("brain.memories"), async (database) => {
    while ((await workOnce(database, stand_in.embedder, () => {})) > 0);
  });
  const [{ embedded } = { embedded: 0 }] = await fresh.owner<{ embedded: number }[]>`
    select count(*)::int as embedded from brain.memory_embeddings`;
  await fresh.close();
  stand_in.close();
  expect(embedded).toBeGreaterThanOrEqual(50);
  expect(read / embedded).toBeLessThan(8); // to be read, to be stored, and by the reference
});

test("what a write reads does not grow with what is there, whatever the planner has been told", async () => {
  const fresh = await openWorld(); // nothing in it has been analyzed
  const storing = (turn: number) =>
    countedOf(
      fresh,
      async (sql) => {
        const [row] = await sql<{ read: number }[]>`
          select (select sum(seq_tup_read) from pg_stat_user_tables where schemaname = 'brain')::int
                 + (select sum(idx_tup_read) from pg_stat_user_indexes where schemaname = 'brain')::int as read
          from pg_stat_get_snapshot_timestamp() as cleared`;
        return row?.read ?? 0;
      },
      async (database) => {
        const memories = Array.from({ length: 100 }, (_, place) => ({
          content: Array.from({ length: 20 }, (_, at) => `word${(turn * 37 + place * 13 + at * 7) % 3000}`).join(" "),
          entities: [`thing ${(turn * 7 + place) % 500}`],
        }));
        await addMemories(database.callerFor(few, "rest", ""), memories);
      },
    );
  await storing(0);
  const early = await storing(1);
  for (let turn = 2; turn < 10; turn++) await storing(turn);
  const late = await storing(10);
  await fresh.close();
  expect(early).toBeGreaterThan(0);
  expect(late).toBeLessThan(early * 3);
});
