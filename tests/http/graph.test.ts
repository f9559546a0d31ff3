import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { ROUTE_NEEDS } from "../../src/auth/scopes.ts";
import { ada, ben, cyd, eve, openWorld, type Person, type World } from "../support/world.ts";

/** What memories have to do with each other, counted over what the caller sees. */
let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.owner`truncate brain.memories, brain.space_sizes, brain.memory_entities, brain.memory_tags cascade`;
  await world.owner`truncate brain.entities cascade`;
});

const SHARED = "project:acme/web";
const add = async (memory: object, person: Person = ada): Promise<string> => {
  const { status, body } = await world.api(person).post("/memories", memory);
  expect(status).toBe(201);
  return body.id;
};
const ask = async (path: string, person: Person = ada) => {
  const { status, body } = await world.api(person).get(path);
  expect([path, status, body.code]).toEqual([path, 200, undefined]);
  return body;
};
const idsOf = (items: { id: string }[]) => items.map(({ id }) => id);
const setState = (id: string, state: string) =>
  world.owner`update brain.memories set state = ${state} where id = ${id}`;
/** ln(1 + N/df), as it is told. */
const weight = (count: number, df: number) => Number(Math.log(1 + count / df).toFixed(4));

describe("related memories", () => {
  test("share entities, tags, evidence, an artifact, places in code; the rarer, the more", async () => {
    const seed = await add({
      content: "seed",
      entities: ["Postgre SQL", "Bun"],
      tags: { env: "prod", urgent: true },
      evidence: ["ADR-7"],
      artifact_ref: "services/api",
      code_refs: [{ path: "src/db.ts", line_start: 3 }],
    });
    const most = await add({
      content: "most",
      entities: ["postgresql", "Bun"],
      tags: { env: "prod" },
      evidence: ["ADR-7"],
      artifact_ref: "services/api",
      code_refs: [{ path: "src/db.ts", line_start: 99 }],
    });
    const one = await add({ content: "one", entities: ["Bun"], tags: ["urgent"] });
    await add({ content: "other", entities: ["Redis"], tags: { env: "test" }, category: "note" });

    const { items, total, memory_id } = await ask(`/memories/${seed}/related`);
    expect({ memory_id, ids: idsOf(items), total }).toEqual({ memory_id: seed, ids: [most, one], total: 2 });
    expect(items[0].shared).toEqual([
      { kind: "artifact_ref", name: "services/api", weight: weight(4, 2) },
      { kind: "code_ref", name: "src/db.ts", weight: weight(4, 2) },
      { kind: "entity", name: "Postgre SQL", weight: weight(4, 2) },
      { kind: "evidence", name: "ADR-7", weight: weight(4, 2) },
      { kind: "tag", name: "env=prod", weight: weight(4, 2) },
      { kind: "entity", name: "Bun", weight: weight(4, 3) },
    ]);
    expect(items[0].score).toBeCloseTo(5 * Math.log(3) + Math.log(1 + 4 / 3), 3);
    expect(items[1].shared).toEqual([
      { kind: "tag", name: "urgent", weight: weight(4, 2) },
      { kind: "entity", name: "Bun", weight: weight(4, 3) },
    ]);
    expect(items[0]).toMatchObject({ category: "note", access_entity: "user:ada", preview: "most", shared_count: 6 });
  });

  test("are narrowed by via; category, space and app are no relations", async () => {
    const seed = await add({ content: "a", category: "decision", entities: ["Bun"], tags: ["x"] });
    const by_tag = await add({ content: "b", category: "decision", tags: ["x"] });
    const by_entity = await add({ content: "c", entities: ["bun"] });
    await add({ content: "d", category: "decision" });
    expect(idsOf((await ask(`/memories/${seed}/related`)).items).sort()).toEqual([by_tag, by_entity].sort());
    expect(idsOf((await ask(`/memories/${seed}/related?via=tag`)).items)).toEqual([by_tag]);
    expect(idsOf((await ask(`/memories/${seed}/related?via=entity,evidence`)).items)).toEqual([by_entity]);
    for (const via of ["category", "scope", "app", "tag,app", "", ","]) {
      const { status, body } = await world.api(ada).get(`/memories/${seed}/related?via=${via}`);
      expect([via, status, body.errors[0].at]).toEqual([via, 422, "via"]);
    }
  });

  test("what everything has relates nothing", async () => {
    const seed = await add({ content: "a", tags: ["all"], entities: ["Bun"] });
    const other = await add({ content: "b", tags: ["all"], entities: ["Bun"] });
    await add({ content: "c", tags: ["all"] });
    const { items } = await ask(`/memories/${seed}/related`);
    expect(idsOf(items)).toEqual([other]);
    expect(items[0].shared).toEqual([{ kind: "entity", name: "Bun", weight: weight(3, 2) }]);
  });

  test("two alone may have everything in common", async () => {
    const seed = await add({ content: "a", tags: ["all"] });
    const other = await add({ content: "b", tags: ["all"] });
    expect(idsOf((await ask(`/memories/${seed}/related`)).items)).toEqual([other]);
  });

  test("are counted over what the caller sees, and nothing anybody else stores changes them", async () => {
    const seed = await add({ content: "a", tags: ["x"], entities: ["Bun"], access_entity: SHARED });
    const other = await add({ content: "b", tags: ["x"], entities: ["Bun"], access_entity: SHARED });
    await add({ content: "c", access_entity: SHARED });
    await add({ content: "mine", tags: ["x"] });
    const [of_ada, of_ben] = [await ask(`/memories/${seed}/related`), await ask(`/memories/${seed}/related`, ben)];
    expect(idsOf(of_ben.items)).toEqual([other]);
    expect(of_ben.items[0].score).toBeCloseTo(2 * Math.log(1 + 3 / 2), 3);
    expect(of_ada.total).toBe(2);
    for (const person of [cyd, eve])
      for (const content of ["k", "l", "m"]) await add({ content, tags: ["x"], entities: ["Bun"] }, person);
    expect(await ask(`/memories/${seed}/related`)).toEqual(of_ada);
    expect(await ask(`/memories/${seed}/related`, ben)).toEqual(of_ben);
  });

  test("are active ones, of an active one", async () => {
    const seed = await add({ content: "a", tags: ["x"] });
    const other = await add({ content: "b", tags: ["x"] });
    await add({ content: "c" });
    for (const state of ["paused", "archived", "deleted"]) {
      await setState(other, state);
      expect([state, (await ask(`/memories/${seed}/related`)).items]).toEqual([state, []]);
      for (const what of ["related", "similar", "graph"]) {
        const { status, body } = await world.api(ada).get(`/memories/${other}/${what}`);
        expect([state, what, status, body.code]).toEqual([state, what, 404, "NOT_FOUND"]);
      }
      await setState(other, "active");
    }
  });

  test("count merged names as one", async () => {
    const seed = await add({ content: "a", entities: ["Postgres"] });
    const other = await add({ content: "b", entities: ["PostgreSQL"] });
    await add({ content: "c" });
    expect((await ask(`/memories/${seed}/related`)).items).toEqual([]);
    await world.owner`update brain.entities set merged_into = 'postgresql' where key = 'postgres'`;
    const { items } = await ask(`/memories/${seed}/related`);
    expect(idsOf(items)).toEqual([other]);
    expect(items[0].shared).toEqual([{ kind: "entity", name: "PostgreSQL", weight: weight(3, 2) }]);
  });

  test("are in the log of what was recalled, as are what is similar and what lies around", async () => {
    const seed = await add({ content: "seed text", tags: ["x"] });
    const other = await add({ content: "seed text too", tags: ["x"] });
    for (const what of ["related", "similar", "graph"]) await ask(`/memories/${seed}/${what}`);
    await world.database.writeRecalls();
    const { items } = await ask(`/memories/${other}/access-log`);
    expect(items.map(({ kind, user }: { kind: string; user: string }) => [kind, user])).toEqual(
      Array(3).fill(["related", "ada"]),
    );
  });

  test("are cut at the limit, and all of them counted", async () => {
    const seed = await add({ content: "seed", tags: ["x"] });
    const others = [await add({ content: "b", tags: ["x"] }), await add({ content: "c", tags: ["x"] })];
    await add({ content: "d" });
    const { items, total } = await ask(`/memories/${seed}/related?limit=1`);
    expect([idsOf(items), total]).toEqual([others.slice(1), 2]); // the newer of equals
    for (const limit of ["0", "101", "x", "1e1", "-1"])
      expect((await world.api(ada).get(`/memories/${seed}/related?limit=${limit}`)).status).toBe(422);
  });
});

test("a token needs no scope but those of the route", async () => {
  const seed = await add({ content: "a" });
  const routes = Object.entries(ROUTE_NEEDS).filter(([route]) => /^GET .*(\/graph|\/related|\/similar)/.test(route));
  expect(routes.length).toBeGreaterThan(14);
  for (const [route, needs] of routes) {
    if (needs === "public") continue;
    const path = route
      .slice("GET /api/v1".length)
      .replace(":id", seed)
      .replace(":dimension", "tag")
      .replace(":key", "x");
    const { status } = await world
      .api({ ...ada, scopes: needs })
      .get(`${path}${/search/.test(path) ? "?query=a" : ""}`);
    expect([route, status]).toEqual([route, 200]);
  }
});

describe("similar memories", () => {
  test("are compared by their words, by how rare those are, and equal text is 1", async () => {
    const text = "The connection pool is closed before the process ends.";
    const seed = await add({ content: text });
    const same = await add({ content: text, access_entity: SHARED });
    const near = await add({ content: "A connection pool that is never closed leaks." });
    await add({ content: "Deployments happen on Thursdays." });
    const { items, method, total } = await ask(`/memories/${seed}/similar`);
    expect({ ids: idsOf(items), method, total }).toEqual({ ids: [same, near], method: "terms", total: 2 });
    expect(items[0].score).toBe(1);
    expect(items[1].score).toBeGreaterThan(0.1);
    expect(items[1].score).toBeLessThan(1);
    expect(idsOf((await ask(`/memories/${seed}/similar?min_score=0.99`)).items)).toEqual([same]);
    expect((await ask(`/memories/${seed}/similar?limit=1`)).total).toBe(2);
    for (const min_score of ["1.1", "-0.1", "x", ""])
      expect((await world.api(ada).get(`/memories/${seed}/similar?min_score=${min_score}`)).status).toBe(422);
  });

  test("do not change by what others store", async () => {
    const seed = await add({ content: "alpha beta gamma", access_entity: SHARED });
    await add({ content: "alpha beta delta", access_entity: SHARED });
    const before = await ask(`/memories/${seed}/similar`, ben);
    for (const person of [cyd, eve]) await add({ content: "alpha alpha alpha beta" }, person);
    expect(await ask(`/memories/${seed}/similar`, ben)).toEqual(before);
  });

  test("there are none of a text without words", async () => {
    const seed = await add({ content: "!!! --- '\\" });
    await add({ content: "??? 'quoted' back\\slash & | !" });
    expect((await ask(`/memories/${seed}/similar`)).items).toEqual([]);
  });

  test("what looks like a query in the text is no query", async () => {
    const seed = await add({ content: "O'Brien's a:b & c\\d | !e <-> f 'g'" });
    const same = await add({ content: "O'Brien's a:b & c\\d | !e <-> f 'g'", access_entity: SHARED });
    expect(idsOf((await ask(`/memories/${seed}/similar`)).items)).toEqual([same]);
  });
});

describe("the subgraph around a memory", () => {
  test("has each thing once, in one step or two", async () => {
    const seed = await add({ content: `seed ${"x".repeat(400)}`, entities: ["Bun", "Alone"] });
    const near = await add({ content: "near", entities: ["Bun", "Redis"] });
    const far = await add({ content: "far", entities: ["redis"] });
    await add({ content: "apart" });

    const one = await ask(`/memories/${seed}/graph?depth=1`);
    expect(one.nodes.map(({ id }: { id: string }) => id)).toEqual([seed, near, "entity:Alone", "entity:Bun"]);
    expect(one.edges).toEqual([
      { source: seed, target: "entity:Alone", kind: "entity" },
      { source: seed, target: "entity:Bun", kind: "entity" },
      { source: near, target: "entity:Bun", kind: "entity" },
    ]);
    expect(one.nodes[0].preview).toBe(`seed ${"x".repeat(155)}…`);
    expect(one.nodes[2]).toEqual({ id: "entity:Alone", kind: "entity", name: "Alone" });

    const two = await ask(`/memories/${seed}/graph`);
    expect(two.nodes.map(({ id }: { id: string }) => id)).toEqual([
      seed,
      near,
      far,
      "entity:Alone",
      "entity:Bun",
      "entity:Redis",
    ]);
    expect(two.edges).toContainEqual({ source: far, target: "entity:Redis", kind: "entity" });
    expect([two.depth, two.total]).toEqual([2, 1]);
    expect(new Set(two.edges.map((edge: object) => JSON.stringify(edge))).size).toBe(two.edges.length);
  });

  test("shows how its entities are related, and what replaces what", async () => {
    const old = await add({ content: "old", entities: ["API", "Redis"] });
    const seed = await add({ content: "new", entities: ["API", "Redis"], supersedes: old });
    await add({ content: "apart" });
    await world.owner`
      insert into brain.relations (org_id, id, space_id, from_key, to_key, type, owner_id, owner, app)
      select org_id, gen_random_uuid(), space_id, 'api', 'redis', 'depends_on', owner_id, owner, 'rest'
      from brain.memories where id = ${seed}`;
    const { edges } = await ask(`/memories/${seed}/graph`);
    expect(edges).toContainEqual({
      source: "entity:API",
      target: "entity:Redis",
      kind: "relation",
      type: "depends_on",
    });
    expect(edges).toContainEqual({ source: seed, target: old, kind: "supersedes" });
  });

  test("has no more memories than asked for", async () => {
    const seed = await add({ content: "seed", tags: ["x"] });
    for (const content of ["a", "b", "c", "d"]) await add({ content, tags: ["x"] });
    await add({ content: "apart" });
    const { nodes, total } = await ask(`/memories/${seed}/graph?related_limit=2&depth=1`);
    expect(nodes.filter(({ kind }: { kind: string }) => kind === "memory").length).toBe(3);
    expect(total).toBe(4);
    for (const query of ["depth=3", "depth=0", "related_limit=201", "via=app"])
      expect((await world.api(ada).get(`/memories/${seed}/graph?${query}`)).status).toBe(422);
  });
});

describe("aggregates", () => {
  test.each([
    [
      "category",
      [
        ["decision", 2],
        ["note", 1],
      ],
    ],
    [
      "scope",
      [
        ["user", 2],
        ["project", 1],
      ],
    ],
    [
      "access_entity",
      [
        ["user:ada", 2],
        ["project:acme/web", 1],
      ],
    ],
    ["artifact_type", [["service", 1]]],
    ["artifact_ref", [["api", 1]]],
    [
      "tag",
      [
        ["env", 2],
        ["x", 1],
      ],
    ],
    [
      "entity",
      [
        ["Bun", 3],
        ["api", 1],
      ],
    ],
    ["app", [["rest", 3]]],
    ["evidence", [["ADR-1", 2]]],
    [
      "source",
      [
        ["user", 2],
        ["import", 1],
      ],
    ],
    [
      "state",
      [
        ["active", 3],
        ["archived", 1],
      ],
    ],
  ] as [string, [string, number][]][])("by %s", async (dimension, expected) => {
    await add({
      content: "a",
      category: "decision",
      entities: ["Bun"],
      tags: { env: 1 },
      evidence: ["ADR-1", "ADR-1"],
    });
    await add({
      content: "b",
      category: "decision",
      entities: ["bun", "BUN"],
      tags: { env: 2, x: true },
      source: "import",
    });
    await add({
      content: "c",
      entities: ["B un"],
      evidence: ["ADR-1"],
      access_entity: SHARED,
      artifact_type: "service",
      artifact_ref: "api",
    });
    await setState(await add({ content: "d", tags: ["gone"], category: "runbook" }), "archived");
    await add({ content: "foreign", tags: ["foreign"], entities: ["Foreign"] }, cyd);
    const all = await ask(`/graph/aggregate/${dimension}`);
    expect(all).toEqual({
      dimension,
      items: expected.map(([key, count]) => ({ key, count })),
      total: expected.length,
    });
    const { items, total } = await ask(`/graph/aggregate/${dimension}?limit=1`);
    expect([items, total]).toEqual([all.items.slice(0, 1), expected.length]);
  });

  test("by nothing else", async () => {
    const { status, body } = await world.api(ada).get("/graph/aggregate/owner");
    expect([status, body.code, body.errors[0].at]).toEqual([422, "INVALID_INPUT", "dimension"]);
    for (const limit of ["0", "201"])
      expect((await world.api(ada).get(`/graph/aggregate/tag?limit=${limit}`)).status).toBe(422);
  });
});

describe("tags", () => {
  /** pmi / -ln p(a, b), as it is told. */
  const npmi = (both: number, a: number, b: number, all: number) =>
    Number((Math.log((both * all) / (a * b)) / -Math.log(both / all)).toFixed(4));

  test("that go together, how often, how much more than by chance, and where", async () => {
    const first = await add({ content: "1", tags: ["a", "b"] });
    const second = await add({ content: "2", tags: ["a", "b", "c"] });
    await add({ content: "3", tags: ["a", "c"] });
    await add({ content: "4", tags: ["a"] });
    await add({ content: "5" });
    for (const content of ["6", "7"]) await add({ content, tags: ["a", "z"] }, cyd);
    const { items, total } = await ask("/graph/tags/cooccurrence");
    expect(items).toEqual([
      { tag1: "a", tag2: "b", count: 2, npmi: npmi(2, 4, 2, 5), example_memory_ids: [second, first] },
      { tag1: "a", tag2: "c", count: 2, npmi: npmi(2, 4, 2, 5), example_memory_ids: expect.any(Array) },
    ]);
    expect(total).toBe(2);
    const every = await ask("/graph/tags/cooccurrence?min_count=1&limit=2&sample_size=1");
    expect([every.items.length, every.total, every.items[0].example_memory_ids]).toEqual([2, 3, [second]]);
    for (const query of ["limit=201", "min_count=0", "sample_size=11", "tag=a"])
      expect((await world.api(ada).get(`/graph/tags/cooccurrence?${query}`)).status).toBe(422);
  });

  test("that go with one, the closest first; its key may hold anything", async () => {
    await add({ content: "1", tags: ["a/b c", "b"] });
    await add({ content: "2", tags: ["a/b c", "b", "c"] });
    await add({ content: "3", tags: ["c"] });
    await add({ content: "4" });
    const path = `/graph/tags/${encodeURIComponent("a/b c")}/related`;
    expect(await ask(path)).toEqual({
      tag: "a/b c",
      items: [
        { tag: "b", count: 2, npmi: 1 },
        { tag: "c", count: 1, npmi: npmi(1, 2, 2, 4) },
      ],
      total: 2,
    });
    expect((await ask(`${path}?min_count=2`)).total).toBe(1);
    expect(await ask("/graph/tags/unknown/related")).toEqual({ tag: "unknown", items: [], total: 0 });
  });

  test("that everything has tell nothing of each other", async () => {
    for (const content of ["1", "2"]) await add({ content, tags: ["a", "b"] });
    expect((await ask("/graph/tags/cooccurrence")).items[0].npmi).toBe(0);
    expect((await ask("/graph/tags/a/related")).items[0].npmi).toBe(0);
  });
});

describe("finding", () => {
  test("memories by their words, in brief", async () => {
    const found = await add({ content: `Deployments happen on Thursdays. ${"y".repeat(300)}` });
    await setState(await add({ content: "Deployments of old." }), "archived");
    await add({ content: "Deployments elsewhere." }, cyd);
    const { items, total } = await ask("/graph/search/memories?query=deployments");
    expect([idsOf(items), total]).toEqual([[found], 1]);
    expect(items[0].preview.length).toBe(161);
    expect((await world.api(ada).get("/graph/search/memories")).status).toBe(422);
  });

  test("entities in any spelling, by a part of the name, by a merged one", async () => {
    await add({ content: "1", entities: ["Postgre SQL", "PostgreSQL Extensions", "My Postgresql"] });
    await add({ content: "2", entities: ["postgresql"] });
    await add({ content: "3", entities: ["PostgreSQL Secrets"] }, cyd);
    const { items, total } = await ask("/graph/search/entities?query=PostgreSQL");
    expect(items).toEqual([
      { name: "Postgre SQL", memory_count: 2, score: 1 },
      { name: "PostgreSQL Extensions", memory_count: 1, score: 0.75 },
      { name: "My Postgresql", memory_count: 1, score: expect.any(Number) },
    ]);
    expect(total).toBe(3);
    expect((await ask("/graph/search/entities?query=which+postgres+do+we+use")).items[0].name).toBe("Postgre SQL");
    await world.owner`update brain.entities set merged_into = 'postgresql' where key = 'mypostgresql'`;
    expect((await ask("/graph/search/entities?query=mypostgresql")).items).toEqual([
      { name: "Postgre SQL", memory_count: 2, score: 1 },
    ]);
    expect((await ask("/graph/search/entities?query=%25")).items).toEqual([]);
  });
});

describe("analytics", () => {
  const twoGroups = async () => {
    for (const [place, entities] of [
      ["A1", "A2"],
      ["A1", "A3"],
      ["A2", "A3"],
      ["B1", "B2"],
      ["B1", "B2"],
      ["A1"],
      ["Alone"],
    ].entries())
      await add({ content: `${place}`, entities });
    await add({ content: "x", entities: ["A1", "B1", "Foreign"] }, cyd);
  };

  test("communities of entities, the same at every call", async () => {
    await twoGroups();
    const answer = await ask("/graph/analytics/communities/entities");
    expect(answer).toMatchObject({
      items: [
        {
          size: 3,
          members: [
            { name: "A1", memory_count: 3 },
            { name: "A2", memory_count: 2 },
            { name: "A3", memory_count: 2 },
          ],
        },
        {
          size: 2,
          members: [
            { name: "B1", memory_count: 2 },
            { name: "B2", memory_count: 2 },
          ],
        },
      ],
      total: 2,
      is_cut: false,
    });
    expect(answer.modularity).toBeGreaterThan(0.3);
    expect(await ask("/graph/analytics/communities/entities")).toEqual(answer);
    const short = await ask("/graph/analytics/communities/entities?limit=1&member_limit=1");
    expect([short.items, short.total]).toEqual([[{ size: 3, members: [{ name: "A1", memory_count: 3 }] }], 2]);
  });

  test("communities of nothing", async () => {
    const none = { items: [], total: 0, modularity: 0, is_cut: false };
    expect(await ask("/graph/analytics/communities/entities")).toEqual(none);
    expect(await ask("/graph/analytics/communities/memories")).toEqual({
      items: [],
      total: 0,
      alone: 0,
      is_cut: false,
    });
    expect(await ask("/graph/analytics/similarity/entities")).toEqual({ items: [], total: 0 });
    expect(await ask("/graph/analytics/connectivity")).toEqual({ items: [], total: 0, is_cut: false });
  });

  test("communities of memories: what shares a thing, directly or through others", async () => {
    const one = await add({ content: "1", entities: ["Bun"] });
    const two = await add({ content: "2", entities: ["bun"], tags: ["x"] });
    const three = await add({ content: "3", tags: ["x"] });
    await add({ content: "4", tags: ["y"] });
    await add({ content: "x", entities: ["Bun"], tags: ["y"] }, cyd);
    const { items, total, alone } = await ask("/graph/analytics/communities/memories");
    expect(items.map(({ size, members }: { size: number; members: [] }) => [size, idsOf(members)])).toEqual([
      [3, [three, two, one]],
    ]);
    expect([total, alone]).toEqual([1, 1]);
    const by_tag = await ask("/graph/analytics/communities/memories?via=tag&member_limit=1");
    expect(by_tag.items.map(({ size, members }: { size: number; members: [] }) => [size, idsOf(members)])).toEqual([
      [2, [three]],
    ]);
    expect(by_tag.alone).toBe(2);
  });

  test("entities that the same memories mention, by Jaccard", async () => {
    await twoGroups();
    const { items, total } = await ask("/graph/analytics/similarity/entities?min_count=1");
    expect([items[0], total]).toEqual([{ entity1: "B1", entity2: "B2", score: 1, memory_count: 2 }, 4]);
    expect(items).toContainEqual({ entity1: "A2", entity2: "A3", score: 0.3333, memory_count: 1 });
    expect((await ask("/graph/analytics/similarity/entities")).total).toBe(1);
    expect((await ask("/graph/analytics/similarity/entities?min_count=1&min_score=0.3")).total).toBe(2);
    expect((await ask("/graph/analytics/similarity/entities?entity_name=b-2&min_count=1")).items).toEqual([
      { entity1: "B2", entity2: "B1", score: 1, memory_count: 2 },
    ]);
    expect((await ask("/graph/analytics/similarity/entities?entity_name=Foreign")).items).toEqual([]);
  });

  test("the memories that are tied to most", async () => {
    const hub = await add({ content: "hub", entities: ["A", "B", "C"] });
    await add({ content: "1", entities: ["A"] });
    await add({ content: "2", entities: ["B", "A"] });
    await add({ content: "none" });
    await add({ content: "x", entities: ["A", "C"] }, cyd);
    const { items, total } = await ask("/graph/analytics/connectivity?limit=1");
    expect(items).toMatchObject([{ id: hub, entity_count: 3, neighbour_count: 2, connectivity: 5 }]);
    expect(total).toBe(3);
  });

  test("how much there is", async () => {
    await twoGroups();
    await add({ content: "t", tags: ["x", "y"], category: "decision", metadata: { date: "2025" } });
    expect(await ask("/graph/stats")).toEqual({
      memory_count: 8,
      entity_count: 6,
      mention_count: 12,
      tag_count: 2,
      relation_count: 0,
      event_count: 1,
      co_mention_count: 4,
      is_cut: false,
    });
  });
});
