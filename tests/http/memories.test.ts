import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ada, ben, cyd, eve, openWorld, otherAda, samely, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const RANDOM_ID = "01a2079c-0000-7000-8000-000000000000";

describe("storing", () => {
  test("a memory comes back as it was given, with what the server knows of it", async () => {
    const given = {
      content: "  Use PostgreSQL row-level security.\n",
      category: "decision",
      artifact_type: "db",
      artifact_ref: "sql/memories.sql",
      entities: ["PostgreSQL"],
      thread: "PR 12",
      evidence: ["https://example.com/adr/7"],
      tags: { layer: "storage", weight: 2, settled: true },
      code_refs: [{ path: "sql/memories.sql", line_start: 1, line_end: 9, symbol: "within_spaces" }],
      source: "inference",
      metadata: { z: 1, a: { nested: [null, "ü", 1.5] } },
    };
    const { status, body } = await world.api(ada).post("/memories", given);
    expect(status).toBe(201);
    expect(body).toEqual({
      ...given,
      content: "Use PostgreSQL row-level security.",
      id: expect.stringMatching(/^[\da-f]{8}-[\da-f]{4}-7/),
      access_entity: "user:ada",
      scope: "user",
      state: "active",
      revision: 1,
      owner: "ada",
      app: "rest",
      app_id: expect.any(String),
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/),
      updated_at: body.created_at,
      archived_at: null,
      deleted_at: null,
      supersedes: null,
      superseded_by: null,
    });
    expect(Object.keys(body.metadata)).toEqual(["z", "a"]); // verbatim, the order of keys too
    expect(await world.api(ada).get(`/memories/${body.id}`)).toMatchObject({ status: 200, body });
  });

  test("what is left out has its default", async () => {
    const { body } = await world.api(ada).post("/memories", { content: "plain" });
    expect(body).toMatchObject({
      category: "note",
      artifact_type: null,
      artifact_ref: null,
      entities: [],
      thread: null,
      evidence: [],
      tags: {},
      code_refs: [],
      source: "user",
      metadata: {},
    });
  });

  test("one entity is a list of one, and a list of tags means true for each", async () => {
    const { body } = await world.api(ada).post("/memories", { content: "x", entity: "Bun", tags: ["a", "b"] });
    expect(body).toMatchObject({ entities: ["Bun"], tags: { a: true, b: true } });
  });

  test("auto is the one shared space granted", async () => {
    const { body } = await world.api(ada).post("/memories", { content: "shared", access_entity: "auto" });
    expect(body).toMatchObject({ access_entity: "project:acme/web", scope: "project" });
  });

  test("auto among several names them", async () => {
    const person = { ...ada, grants: ["project:acme/web", "team:acme/ops"] };
    const { status, body } = await world.api(person).post("/memories", { content: "x", access_entity: "auto" });
    expect({ status, code: body.code, options: body.options }).toEqual({
      status: 400,
      code: "ACCESS_ENTITY_AMBIGUOUS",
      options: ["project:acme/web", "team:acme/ops"],
    });
  });

  test.each(["org:acme", "project:acme", "project:acme/web2", "team:acme/web", "user:ben", "org:umbrella"])(
    "a space that is not granted is refused: %s",
    async (access_entity) => {
      const { status, body } = await world.api(ada).post("/memories", { content: "x", access_entity });
      expect({ status, code: body.code }).toEqual({ status: 403, code: "FORBIDDEN_ACCESS_ENTITY" });
    },
  );

  test("a granted project opens its teams and sub-projects", async () => {
    for (const access_entity of ["team:acme/web/core", "project:acme/web/api/v2"]) {
      const { status, body } = await world.api(ada).post("/memories", { content: "below", access_entity });
      expect({ status, space: body.access_entity }).toEqual({ status: 201, space: access_entity });
      expect((await world.api(ben).get(`/memories/${body.id}`)).status).toBe(200);
    }
  });

  test("a batch is stored in its order", async () => {
    const memories = Array.from({ length: 100 }, (_, index) => ({ content: `batch ${index}` }));
    const { status, body } = await world.api(cyd).post("/memories/batch", { memories });
    expect(status).toBe(201);
    expect(body.items.map((item: { content: string }) => item.content)).toEqual(
      memories.map((memory) => memory.content),
    );
  });

  test("a batch with one bad memory stores none and says which", async () => {
    const before = (await world.api(cyd).get("/memories")).body.total;
    const memories = [{ content: "good" }, { content: "   " }, { content: "x", access_entity: "org:acme" }];
    const bad = await world.api(cyd).post("/memories/batch", { memories });
    expect(bad.status).toBe(422);
    expect(bad.body.errors).toEqual([
      { at: "memories.1.content", message: "must have 1 to 65536 bytes of UTF-8 after trimming" },
    ]);
    const forbidden = await world.api(cyd).post("/memories/batch", { memories: [memories[0], memories[2]] });
    expect(forbidden.status).toBe(403);
    expect((await world.api(cyd).get("/memories")).body.total).toBe(before);
  });

  test("through a paused app nothing is stored", async () => {
    const pauser = { org: "acme", sub: "pauser" };
    await world.api(pauser).post("/memories", { content: "first" });
    await world.owner`
      update brain.apps set is_active = false from brain.users where users.id = owner_id and users.sub = 'pauser'`;
    const { status, body } = await world.api(pauser).post("/memories", { content: "second" });
    expect({ status, code: body.code }).toEqual({ status: 403, code: "APP_PAUSED" });
    expect((await world.api(pauser).get("/memories")).body.total).toBe(1);
  });

  test("a user seen for the first time by twenty requests at once is one user", async () => {
    const newcomer = { org: "acme", sub: "newcomer", grants: ["team:acme/new"] };
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        world.api(newcomer).post("/memories", { content: `first ${index}`, access_entity: "team:acme/new" }),
      ),
    );
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([201]));
    expect((await world.api(newcomer).get("/memories")).body.total).toBe(20);
  });
});

test("writers of the same new spaces in any order do not wait for each other", async () => {
  const opener = { org: "acme", sub: "opener", grants: ["org:z"] };
  const spaces = Array.from({ length: 60 }, (_, index) => `project:z/${index}`);
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, index) => {
      const memories = spaces.map((access_entity) => ({ content: `by ${index}`, access_entity }));
      return world.api(opener).post("/memories/batch", { memories: index % 2 ? memories.reverse() : memories });
    }),
  );
  expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(201));
});

describe("changing", () => {
  test("only what is given changes, and the revision grows", async () => {
    const { body: stored } = await world
      .api(ada)
      .post("/memories", { content: "old", category: "decision", thread: "t", tags: ["a"], metadata: { a: 1 } });
    const { status, body } = await world
      .api(ada)
      .put(`/memories/${stored.id}`, { content: "new", thread: null, tags: null });
    expect(status).toBe(200);
    expect(body).toEqual({
      ...stored,
      content: "new",
      thread: null,
      tags: {},
      revision: 2,
      updated_at: body.updated_at,
    });
    expect(body.updated_at > stored.updated_at).toBe(true);
  });

  test("times have all their digits, so that their texts sort as they came", async () => {
    const came = ["59", "59.1", "59.11", "59.110001", "59.12"].map((seconds) => `2026-01-02 03:04:${seconds}+00`);
    for (const at of came) {
      const { body } = await world.api(ada).post("/memories", { content: `at ${at}`, tags: ["times"] });
      await world.owner`update brain.memories set created_at = ${at}::text::timestamptz where id = ${body.id}`;
    }
    const { body } = await world.api(ada).get("/memories?tag=times");
    const times = body.items.map(({ created_at }: { created_at: string }) => created_at).reverse();
    expect(times).toEqual(
      ["000000", "100000", "110000", "110001", "120000"].map((digits) => `2026-01-02T03:04:59.${digits}Z`),
    );
    expect(times.toSorted()).toEqual(times);
  });

  test("a team-mate with the grant may change it; owner and app stay", async () => {
    const { body: stored } = await world.api(ada).post("/memories", { content: "ours", access_entity: "auto" });
    const { body } = await world.api(ben).put(`/memories/${stored.id}`, { content: "ours, better" });
    expect(body).toMatchObject({ content: "ours, better", owner: "ada", app: "rest", revision: 2 });
  });

  test("what is not there leaves no space behind when it is moved", async () => {
    const { status } = await world.api(ada).put(`/memories/${RANDOM_ID}`, { access_entity: "project:acme/web/never" });
    expect(status).toBe(404);
    expect(await world.owner`select from brain.spaces where access_entity = 'project:acme/web/never'`).toHaveLength(0);
  });

  test("two changes at once are two revisions, and the time of change never goes back", async () => {
    const { body: stored } = await world.api(ada).post("/memories", { content: "0" });
    const answers = await Promise.all(
      [1, 2, 3, 4].map((n) => world.api(ada).put(`/memories/${stored.id}`, { content: `${n}` })),
    );
    const changes = answers.map(({ body }) => body).sort((a, b) => a.revision - b.revision);
    expect(changes.map((change) => change.revision)).toEqual([2, 3, 4, 5]);
    const times = changes.map((change) => change.updated_at);
    expect(times).toEqual([...times].sort());
    expect(new Set(times).size).toBe(4);
  });

  test("moving needs both spaces", async () => {
    const { body: stored } = await world.api(ada).post("/memories", { content: "mine" });
    const forbidden = await world.api(ada).put(`/memories/${stored.id}`, { access_entity: "org:acme" });
    expect(forbidden.body.code).toBe("FORBIDDEN_ACCESS_ENTITY");
    const moved = await world.api(ada).put(`/memories/${stored.id}`, { access_entity: "project:acme/web" });
    expect(moved.body).toMatchObject({ access_entity: "project:acme/web", scope: "project" });
    const away = await world.api(ben).put(`/memories/${stored.id}`, { access_entity: "user:ben" });
    expect(away.body).toMatchObject({ access_entity: "user:ben", owner: "ada" });
    expect((await world.api(ada).get(`/memories/${stored.id}`)).status).toBe(404);
  });

  test.each([{}, { id: RANDOM_ID }, { owner: "ben" }, { state: "archived" }, { content: null }, { revision: 9 }])(
    "what cannot be changed is refused: %j",
    async (changes) => {
      const { body: stored } = await world.api(ada).post("/memories", { content: `fixed ${crypto.randomUUID()}` });
      const { status, body } = await world.api(ada).put(`/memories/${stored.id}`, changes);
      expect({ status, code: body.code }).toEqual({ status: 422, code: "INVALID_INPUT" });
      expect((await world.api(ada).get(`/memories/${stored.id}`)).body).toEqual(stored);
    },
  );
});

describe("deleting", () => {
  test("a deleted memory is gone from every read", async () => {
    const { body: stored } = await world.api(ada).post("/memories", { content: "ephemeral zyzzyva" });
    expect(await world.api(ada).delete(`/memories/${stored.id}`)).toMatchObject({ status: 204, body: "" });
    for (const gone of [
      await world.api(ada).get(`/memories/${stored.id}`),
      await world.api(ada).put(`/memories/${stored.id}`, { content: "back" }),
      await world.api(ada).delete(`/memories/${stored.id}`),
    ])
      expect(gone.status).toBe(404);
    expect((await world.api(ada).post("/search", { query: "zyzzyva" })).body.results).toEqual([]);
    expect((await world.api(ada).get("/memories?search_query=zyzzyva")).body.total).toBe(0);
  });

  test("many at once: foreign, unknown, deleted and repeated ids are counted, not told apart", async () => {
    const [one, two, foreign] = await Promise.all([
      world.api(ada).post("/memories", { content: "one" }),
      world.api(ada).post("/memories", { content: "two" }),
      world.api(cyd).post("/memories", { content: "cyd's" }),
    ]);
    const memory_ids = [one.body.id, one.body.id.toUpperCase(), two.body.id, foreign.body.id, RANDOM_ID];
    expect((await world.api(ada).delete("/memories", { memory_ids })).body).toEqual({ deleted: 2, skipped: 2 });
    expect((await world.api(ada).delete("/memories", { memory_ids })).body).toEqual({ deleted: 0, skipped: 4 });
    expect((await world.api(cyd).get(`/memories/${foreign.body.id}`)).status).toBe(200);
  });
});

describe("what one may not see does not exist", () => {
  test.each([
    ["a colleague without the grant", cyd],
    ["a member of another org with the same grants", eve],
    ["a user of the same name in another org", otherAda],
  ])("%s gets the answer of a random id", async (_who, person) => {
    const mine = (await world.api(ada).post("/memories", { content: "private" })).body;
    const shared = (await world.api(ada).post("/memories", { content: "shared", access_entity: "auto" })).body;
    for (const { id } of [mine, shared])
      for (const [method, body] of [["GET"], ["PUT", { content: "taken" }], ["DELETE"]] as const) {
        const foreign = await world.api(person).call(method, `/memories/${id}`, body);
        const random = await world.api(person).call(method, `/memories/${RANDOM_ID}`, body);
        expect({ ...foreign, headers: null, body: samely(foreign.body) }).toEqual({
          ...random,
          headers: null,
          body: samely(random.body),
        });
        expect(foreign.status).toBe(404);
      }
    expect((await world.api(ada).get(`/memories/${mine.id}`)).body.content).toBe("private");
    const { body: list } = await world.api(person).get("/memories?size=100");
    expect(list.items.filter((item: { owner: string; id: string }) => [mine.id, shared.id].includes(item.id))).toEqual(
      [],
    );
  });
});

describe("listing", () => {
  const lister = { org: "listers", sub: "lena", grants: ["project:l"] };
  const contents = (answer: { body: { items: { content: string }[] } }) =>
    answer.body.items.map((item) => item.content);

  beforeAll(async () => {
    for (let index = 0; index < 25; index++)
      await world.api(lister).post("/memories", {
        content: `item ${index}`,
        category: index % 5 === 0 ? "decision" : "note",
        access_entity: index % 2 === 0 ? "user:lena" : "project:l",
      });
  });

  test("newest first, in pages, with a total", async () => {
    const first = await world.api(lister).get("/memories?size=10");
    expect({ ...first.body, items: contents(first) }).toEqual({
      items: ["24", "23", "22", "21", "20", "19", "18", "17", "16", "15"].map((n) => `item ${n}`),
      total: 25,
      total_is: "exact",
      page: 1,
      size: 10,
      pages: 3,
      next_cursor: expect.any(String),
    });
    const last = await world.api(lister).get("/memories?size=10&page=3");
    expect({ items: contents(last), total: last.body.total, next_cursor: last.body.next_cursor }).toEqual({
      items: ["item 4", "item 3", "item 2", "item 1", "item 0"],
      total: 25,
      next_cursor: null,
    });
    const beyond = await world.api(lister).get("/memories?size=10&page=4");
    expect({ items: contents(beyond), total: beyond.body.total }).toEqual({ items: [], total: 25 });
  });

  test("a cursor walks everything once, while rows are written", async () => {
    const seen: string[] = [];
    let cursor = "";
    do {
      const answer = await world.api(lister).get(`/memories?size=7${cursor && `&cursor=${cursor}`}`);
      seen.push(...contents(answer));
      cursor = answer.body.next_cursor ?? "";
      await world.api(lister).post("/memories", { content: "written meanwhile", category: "glossary" });
    } while (cursor);
    expect(seen).toEqual(Array.from({ length: 25 }, (_, index) => `item ${24 - index}`));
  });

  test.each([
    ["category=decision", 5],
    ["access_entity=project:l", 12],
    ["access_entity=project:l&category=decision", 2],
    ["access_entity=user:somebody", 0],
    ["state=archived", 0],
    ["search_query=item&category=decision", 5],
  ])("filtered by %s, the total counts what the pages hold", async (filter, total) => {
    const { body } = await world.api(lister).get(`/memories?size=100&${filter}`);
    expect({ total: body.total, items: body.items.length }).toEqual({ total, items: total });
  });

  test("a state is set by nobody here, but listed", async () => {
    const { body } = await world.api(lister).post("/memories", { content: "old", category: "runbook" });
    await world.owner`update brain.memories set state = 'archived' where id = ${body.id}`;
    const archived = await world.api(lister).get("/memories?state=archived");
    expect(archived.body.items).toMatchObject([{ id: body.id, state: "archived", archived_at: expect.any(String) }]);
    expect((await world.api(lister).get("/memories?category=runbook")).body.total).toBe(0);
  });

  test("a page beyond the last is empty and tells the total, with a search too", async () => {
    const { body } = await world.api(lister).get("/memories?search_query=item&size=10&page=9");
    expect({ items: body.items, total: body.total, pages: body.pages }).toEqual({ items: [], total: 25, pages: 3 });
  });

  test.each([
    "page=0",
    "page=1.5",
    "page=x",
    "size=0",
    "size=101",
    "state=deleted",
    "category=other",
    "unknown=1",
    "cursor=nonsense",
    "cursor=&page=1",
    "search_query=",
  ])("a bad query is refused: %s", async (query) => {
    const { status, body } = await world.api(lister).get(`/memories?${query}`);
    expect({ status, code: body.code }).toEqual({ status: 422, code: "INVALID_INPUT" });
  });

  test("a slash at the end means nothing", async () => {
    expect((await world.api(lister).get("/memories/")).body.total).toBe(
      (await world.api(lister).get("/memories")).body.total,
    );
  });
});
