import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ada, ben, cyd, eve, openWorld, type Person, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
  await store(ada, "Postgre SQL holds the ledger.", ["Postgre SQL", "ledger"], SHARED);
  await store(ada, "The ledger of PostgreSQL is backed up at night.", ["PostgreSQL", "ledger", "backup"], SHARED);
  await store(ben, "Backups go to the vault.", ["backup", "vault"], SHARED);
  await store(ada, "The vault has a door.", ["vault", "door"]);
  await store(cyd, "cyd's secret ledger.", ["ledger", "cyd's secret"]);
  await store(eve, "eve's ledger.", ["ledger", "eve's secret"], SHARED);
});
afterAll(() => world.close());

const SHARED = "project:acme/web";
const store = async (person: Person, content: string, entities: string[], access_entity?: string) =>
  (await world.api(person).post("/memories", { content, entities, ...(access_entity && { access_entity }) })).body;
const get = async (person: Person, path: string) => {
  const { status, body } = await world.api(person).get(`/entities${path}`);
  expect([path, status]).toEqual([path, 200]);
  return body;
};
const refused = async (person: Person, path: string) => {
  const { status, body } = await world.api(person).get(`/entities${path}`);
  return `${status} ${body.code} ${body.detail}`;
};
const NONE = "404 NOT_FOUND There is no such entity.";

describe("a list of entities", () => {
  test("has what the caller's active memories mention, the most mentioned first, by the first spelling", async () => {
    expect((await get(ada, "")).items).toEqual([
      { name: "backup", memory_count: 2 },
      { name: "ledger", memory_count: 2 },
      { name: "Postgre SQL", memory_count: 2 },
      { name: "vault", memory_count: 2 },
      { name: "door", memory_count: 1 },
    ]);
    expect((await get(ben, "")).items.map(({ name }: { name: string }) => name)).not.toContain("door");
    expect((await get(cyd, "")).items).toEqual([
      { name: "cyd's secret", memory_count: 1 },
      { name: "ledger", memory_count: 1 },
    ]);
  });

  test("is cut to its limit, says how many there are, and goes on from its cursor", async () => {
    const seen: string[] = [];
    let path = "?limit=2&min_memories=1";
    for (let pages = 0; pages < 3; pages++) {
      const page = await get(ada, path);
      expect(page.total).toBe(5);
      seen.push(...page.items.map(({ name }: { name: string }) => name));
      path = `?limit=2&cursor=${page.next_cursor}`;
      if (pages === 2) expect(page.next_cursor).toBeNull();
    }
    expect(seen).toEqual(["backup", "ledger", "Postgre SQL", "vault", "door"]);
    expect(await get(ada, "?min_memories=2")).toMatchObject({ total: 4, next_cursor: null });
    expect(await get(ada, "?min_memories=3")).toEqual({ items: [], total: 0, next_cursor: null });
    const beyond = Buffer.from("1 zzz").toString("base64url");
    expect(await get(ada, `?cursor=${beyond}`)).toEqual({ items: [], total: 5, next_cursor: null });
  });

  test.each([
    ["?limit=0", "limit", "must be a whole number from 1 to 200"],
    ["?limit=201", "limit", "must be a whole number from 1 to 200"],
    ["?limit=1e2", "limit", "must be a whole number from 1 to 200"],
    ["?min_memories=0", "min_memories", "must be a whole number from 1 to 999999"],
    ["?cursor=x", "cursor", "is not one that this list gave out"],
    ["?colour=red", "colour", "is not known here"],
  ])("refuses %s", async (path, at, message) => {
    const { status, body } = await world.api(ada).get(`/entities${path}`);
    expect([status, body.code, body.errors]).toEqual([422, "INVALID_INPUT", [{ at, message }]]);
  });
});

describe("an entity", () => {
  test("is found by any spelling, with what is around it", async () => {
    for (const name of ["Postgre SQL", "postgresql", "POSTGRE-SQL", "postgre_sql"])
      expect(await get(ada, `/${encodeURIComponent(name)}`)).toEqual({
        name: "Postgre SQL",
        other_names: [],
        memory_count: 2,
        relation_count: 0,
        network: [
          { name: "ledger", memory_count: 2, memory_ids: [expect.any(String), expect.any(String)] },
          { name: "backup", memory_count: 1, memory_ids: [expect.any(String)] },
        ],
        relations: [],
      });
  });

  test.each([
    "src/db.ts",
    "100%",
    "C++",
    "C#",
    "Überprüfung ✓",
    "a?b",
    "path",
    "analytics",
    "normalization",
    "@elysiajs/jwt",
  ])("called %s can be asked for", async (name) => {
    const who = { org: "names", sub: "ada" };
    await store(who, `Note ${crypto.randomUUID()}.`, [name, "something"]);
    const path = `/${encodeURIComponent(name)}`;
    expect((await get(who, path)).name).toBe(name);
    expect((await get(who, `${path}/network`)).items[0].name).toBe("something");
    expect((await get(who, `${path}/relations`)).items).toEqual([]);
    expect((await get(who, `${path}/memories`)).items.length).toBe(1);
    expect((await get(who, `/path${path}/something`)).entities).toEqual([name, "something"]);
  });

  test.each([
    "/nothing",
    "/nothing/network",
    "/nothing/relations",
    "/nothing/memories",
    "/path/nothing/ledger",
    "/path/ledger/nothing",
    "/...",
  ])("that is not there is 404: %s", async (path) => expect(await refused(ada, path)).toBe(NONE));

  test("of a colleague's or another org's is as one that is not there", async () => {
    for (const name of ["cyd's secret", "eve's secret"])
      for (const rest of ["", "/network", "/relations", "/memories"])
        expect(await refused(ada, `/${encodeURIComponent(name)}${rest}`)).toBe(NONE);
  });

  test.each([
    ["/%00", 400],
    ["/%ff", 400],
    ["/%zz", 400],
    [`/${"x".repeat(257)}`, 422],
  ])("named %p is refused", async (path, status) => {
    expect((await world.api(ada).get(`/entities${path}`)).status).toBe(status);
  });

  test("goes with the last memory that mentions it, and out of sight with its last active one", async () => {
    const who = { org: "going", sub: "ada" };
    const memory = await store(who, "about quokkas", ["quokka"]);
    await world.owner`update brain.memories set state = 'archived' where id = ${memory.id}`;
    expect((await get(who, "/quokka")).memory_count).toBe(0);
    expect((await get(who, "")).items).toEqual([]);
    await world.api(who).delete(`/memories/${memory.id}`);
    expect(await refused(who, "/quokka")).toBe(NONE);
  });
});

describe("what is around an entity", () => {
  test("is what memories mention with it, as often as asked for", async () => {
    expect(await get(ada, "/ledger/network?min_count=2")).toEqual({
      name: "ledger",
      items: [{ name: "Postgre SQL", memory_count: 2, memory_ids: [expect.any(String), expect.any(String)] }],
      total: 1,
    });
    expect(await get(ada, "/ledger/network?limit=1")).toMatchObject({ items: [{ name: "Postgre SQL" }], total: 2 });
  });

  test("its memories come newest first, by cursor", async () => {
    const first = await get(ada, "/backup/memories?limit=1");
    expect(first).toMatchObject({
      name: "backup",
      items: [{ content: "Backups go to the vault." }],
      total: 2,
      total_is: "exact",
    });
    const second = await get(ada, `/backup/memories?limit=1&cursor=${first.next_cursor}`);
    expect(second).toMatchObject({
      items: [{ content: "The ledger of PostgreSQL is backed up at night." }],
      total: null,
      next_cursor: null,
    });
  });
});

describe("a path", () => {
  test("goes by shared memories, with what says each hop", async () => {
    const path = await get(ada, "/path/postgresql/door");
    expect(path).toMatchObject({
      entity_a: "Postgre SQL",
      entity_b: "door",
      hops: 3,
      entities: ["Postgre SQL", "backup", "vault", "door"],
      is_cut: false,
    });
    expect(
      path.steps.map(
        ({ from, to, memory_count, memories }: Record<"from" | "to" | "memory_count" | "memories", unknown[]>) => [
          from,
          to,
          memory_count,
          memories.length,
        ],
      ),
    ).toEqual([
      ["Postgre SQL", "backup", 1, 1],
      ["backup", "vault", 1, 1],
      ["vault", "door", 1, 1],
    ]);
    expect(path.steps[2].memories[0]).toEqual({
      id: expect.any(String),
      category: "note",
      access_entity: "user:ada",
      preview: "The vault has a door.",
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    });
  });

  test("is none beyond the hops allowed, and none by what the caller cannot see", async () => {
    expect(await get(ada, "/path/postgresql/door?max_hops=2")).toEqual({
      entity_a: "Postgre SQL",
      entity_b: "door",
      hops: null,
      entities: [],
      steps: [],
      is_cut: false,
    });
    expect(await refused(ben, "/path/postgresql/door")).toBe(NONE);
  });

  test("from an entity to itself has no hop", async () => {
    expect(await get(ada, "/path/postgresql/Postgre%20SQL")).toMatchObject({
      hops: 0,
      entities: ["Postgre SQL"],
      steps: [],
    });
  });

  test.each(["0", "7", "x"])("refuses %s hops", async (hops) => {
    const { status, body } = await world.api(ada).get(`/entities/path/ledger/door?max_hops=${hops}`);
    expect([status, body.errors]).toEqual([422, [{ at: "max_hops", message: "must be a whole number from 1 to 6" }]]);
  });

  test("is the shortest one of many, six hops long at most", async () => {
    const who = { org: "chain", sub: "ada" };
    for (let hop = 0; hop < 8; hop++) await store(who, `hop ${hop}`, [`n${hop}`, `n${hop + 1}`]);
    expect((await get(who, "/path/n0/n6")).entities).toEqual(["n0", "n1", "n2", "n3", "n4", "n5", "n6"]);
    expect((await get(who, "/path/n0/n7")).hops).toBeNull();
    await world.api(who).post("/entities/n1/relations", { target: "n7", type: "calls" });
    expect(await get(who, "/path/n0/n8")).toMatchObject({ hops: 3, entities: ["n0", "n1", "n7", "n8"] });
    expect((await get(who, "/path/n8/n0")).steps[1]).toEqual({
      from: "n7",
      to: "n1",
      memory_count: 0,
      memories: [],
      relations: [{ id: expect.any(String), type: "calls", direction: "incoming" }],
    });
  });
});

describe("analytics", () => {
  test("centrality counts connections and shared memories", async () => {
    expect(await get(ben, "/analytics/centrality?limit=3")).toEqual({
      items: [
        { name: "backup", connections: 3, mention_count: 3, memory_count: 2 },
        { name: "ledger", connections: 2, mention_count: 3, memory_count: 2 },
        { name: "Postgre SQL", connections: 2, mention_count: 3, memory_count: 2 },
      ],
      total: 4,
      is_cut: false,
    });
  });

  test("PageRank sums to 1, the best connected first", async () => {
    const { items, total, is_cut } = await get(ben, "/analytics/pagerank");
    expect([total, is_cut]).toEqual([4, false]);
    expect(items[0].name).toBe("backup");
    expect(items.reduce((sum: number, { score }: { score: number }) => sum + score, 0)).toBeCloseTo(1, 6);
  });

  test("of nobody's memories are empty", async () => {
    const nobody = { org: "acme", sub: "new" };
    for (const path of ["/analytics/centrality", "/analytics/pagerank"])
      expect(await get(nobody, path)).toEqual({ items: [], total: 0, is_cut: false });
    expect(await get(nobody, "")).toEqual({ items: [], total: 0, next_cursor: null });
  });
});

test("a filter by entity goes by mentions: what a text names, in whatever state the memory is", async () => {
  const who = { org: "filter", sub: "ada" };
  await store(who, "Say `numbat` twice.", []);
  const archived = await store(who, "A numbat, archived.", ["numbat"]);
  await world.owner`update brain.memories set state = 'archived' where id = ${archived.id}`;
  const found = async (query: string) => (await world.api(who).get(`/memories?${query}`)).body.total;
  expect(await found("entity=NUM-BAT")).toBe(1);
  expect(await found("entity=numbat&states=active,archived")).toBe(2);
  expect(await found("entity=numbat&search_query=twice")).toBe(1);
  expect(await found("entity=nothing")).toBe(0);
});
