import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ada, ben, cyd, eve, openWorld, type Person, samely, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const SHARED = "project:acme/web";
const add = (person: Person, name: string, body: object) =>
  world.api(person).post(`/entities/${encodeURIComponent(name)}/relations`, body);
const of = async (person: Person, name: string, query = "") =>
  (await world.api(person).get(`/entities/${encodeURIComponent(name)}/relations${query}`)).body;
const told = ({ items }: { items: { direction: string; type: string; target: string }[] }) =>
  items.map(({ direction, type, target }) => `${direction} ${type} ${target}`);
const remember = async (person: Person, body: object) => (await world.api(person).post("/memories", body)).body;

describe("a relation", () => {
  test("is said once, seen from both ends, and makes the entities it names", async () => {
    const first = await add(ada, "Checkout Service", {
      target: "src/db.ts",
      type: "depends_on",
      access_entity: SHARED,
    });
    expect(first).toMatchObject({
      status: 201,
      body: {
        id: expect.any(String),
        type: "depends_on",
        direction: "outgoing",
        target: "src/db.ts",
        memory_id: null,
        access_entity: SHARED,
        owner: "ada",
        app: "rest",
        created_at: expect.any(String),
      },
    });
    const again = await add(ben, "checkout-service", {
      target: "SRC/db.ts",
      type: "depends_on",
      access_entity: SHARED,
    });
    expect(again).toMatchObject({ status: 200, body: { ...first.body, duplicate: true } });
    const other = await add(ben, "SRC/db.ts", {
      target: "checkout service",
      type: "depends_on",
      direction: "incoming",
      access_entity: "auto",
    });
    expect(other).toMatchObject({
      status: 200,
      body: { id: first.body.id, direction: "incoming", target: "Checkout Service" },
    });
    expect(told(await of(ben, "Checkout Service"))).toEqual(["outgoing depends_on src/db.ts"]);
    expect(told(await of(ben, "src/db.ts"))).toEqual(["incoming depends_on Checkout Service"]);
    expect((await world.api(ben).get("/entities/checkoutservice")).body).toMatchObject({
      memory_count: 0,
      relation_count: 1,
    });
  });

  test("that a memory says is of its space, and is there while the memory is active", async () => {
    const memory = await remember(ada, { content: "The mailer uses the queue.", access_entity: SHARED });
    const { status, body } = await add(ada, "mailer", { target: "queue", type: "uses", memory_id: memory.id });
    expect([status, body.access_entity, body.memory_id]).toEqual([201, SHARED, memory.id]);
    expect((await of(ben, "mailer")).total).toBe(1);
    await world.owner`update brain.memories set state = 'paused' where id = ${memory.id}`;
    expect((await world.api(ben).get("/entities/mailer")).status).toBe(404);
    expect((await world.api(ada).delete(`/entities/mailer/relations/${body.id}`)).status).toBe(404);
    await world.owner`update brain.memories set state = 'active' where id = ${memory.id}`;
    expect((await of(ben, "mailer")).total).toBe(1);
  });

  test("is taken back by whoever sees it, from either end, once", async () => {
    const { body } = await add(ada, "alpha", { target: "beta", type: "calls", access_entity: SHARED });
    expect((await world.api(ben).delete(`/entities/gamma/relations/${body.id}`)).status).toBe(404);
    expect((await world.api(ben).delete(`/entities/BETA/relations/${body.id}`)).status).toBe(204);
    expect((await world.api(ben).delete(`/entities/beta/relations/${body.id}`)).status).toBe(404);
  });
});

describe("a list of relations", () => {
  const who = { org: "lists", sub: "ada" };
  beforeAll(async () => {
    for (const [name, type, target] of [
      ["hub", "uses", "a"],
      ["hub", "calls", "b"],
      ["c", "uses", "hub"],
      ["hub", "owned_by", "team"],
      ["hub", "knows_nothing_of", "d"],
    ] as const)
      await add(who, name, { target, type });
  });

  test.each([
    [
      "",
      [
        "outgoing knows_nothing_of d",
        "outgoing owned_by team",
        "incoming uses c",
        "outgoing calls b",
        "outgoing uses a",
      ],
    ],
    [
      "?direction=outgoing",
      ["outgoing knows_nothing_of d", "outgoing owned_by team", "outgoing calls b", "outgoing uses a"],
    ],
    ["?direction=incoming", ["incoming uses c"]],
    ["?relation_types=uses,calls", ["incoming uses c", "outgoing calls b", "outgoing uses a"]],
    ["?category=technical", ["incoming uses c", "outgoing calls b", "outgoing uses a"]],
    ["?category=work", ["outgoing owned_by team"]],
    ["?category=family", []],
  ])("of %p has what was asked for, newest first", async (query, expected) => {
    const answer = await of(who, "hub", query);
    expect([told(answer), answer.total]).toEqual([expected, expected.length]);
  });

  test("goes on from its cursor", async () => {
    const first = await of(who, "hub", "?limit=3");
    const second = await of(who, "hub", `?limit=3&cursor=${first.next_cursor}`);
    expect([told(first).length, told(second), first.total, second.total, second.next_cursor]).toEqual([
      3,
      ["outgoing calls b", "outgoing uses a"],
      5,
      5,
      null,
    ]);
  });

  test.each([
    ["?category=gossip", "category"],
    ["?category=work&relation_types=uses", "category"],
    ["?direction=up", "direction"],
    ["?relation_types=Uses", "relation_types"],
    ["?limit=201", "limit"],
    ["?cursor=x", "cursor"],
  ])("refuses %s", async (query, at) => {
    const { status, body } = await world.api(who).get(`/entities/hub/relations${query}`);
    expect([status, body.errors.map((error: { at: string }) => error.at)]).toEqual([422, [at]]);
  });
});

describe("a relation is refused", () => {
  test.each([
    ["without a target", "x", { type: "uses" }, "target"],
    ["without a type", "x", { target: "y" }, "type"],
    ["with a type that is none", "x", { target: "y", type: "Uses it" }, "type"],
    ["from an entity to itself", "x y", { target: "X-Y", type: "uses" }, "target"],
    ["with a target of marks alone", "x", { target: "...", type: "uses" }, "target"],
    ["of a name of marks alone", "_._", { target: "y", type: "uses" }, "name"],
    ["with a field that is not known", "x", { target: "y", type: "uses", weight: 1 }, "weight"],
    ["in a space that is none", "x", { target: "y", type: "uses", access_entity: "galaxy:x" }, "access_entity"],
    ["with a name that is too long", "x", { target: "y".repeat(257), type: "uses" }, "target"],
    ["with a name whose key is too long", "x", { target: "ﷺ".repeat(256), type: "uses" }, "target"],
  ])("%s", async (_what, name, body, at) => {
    const answer = await add(ada, name, body);
    expect([answer.status, answer.body.errors?.map((error: { at: string }) => error.at)]).toEqual([422, [at]]);
    expect((await world.owner`select from brain.entities where key in ('x', 'y', 'xy')`).length).toBe(0);
  });

  test("in a space that is not granted, or with none to choose", async () => {
    const in_space = await add(cyd, "x", { target: "y", type: "uses", access_entity: SHARED });
    expect([in_space.status, in_space.body.code]).toEqual([403, "FORBIDDEN_ACCESS_ENTITY"]);
    const auto = await add(cyd, "x", { target: "y", type: "uses", access_entity: "auto" });
    expect([auto.status, auto.body.code]).toEqual([400, "ACCESS_ENTITY_AMBIGUOUS"]);
  });

  test("with a memory that is absent, deleted, a colleague's or another org's: one answer", async () => {
    const deleted = await remember(ada, { content: "gone" });
    await world.api(ada).delete(`/memories/${deleted.id}`);
    const theirs = [await remember(cyd, { content: "cyd's" }), await remember(eve, { content: "eve's" }), deleted];
    const expected = await add(ada, "x", { target: "y", type: "uses", memory_id: crypto.randomUUID() });
    expect(samely(expected.body)).toMatchObject({ status: 404, code: "NOT_FOUND", detail: "There is no such memory." });
    for (const { id } of theirs)
      expect(samely((await add(ada, "x", { target: "y", type: "uses", memory_id: id })).body)).toEqual(
        samely(expected.body),
      );
  });

  test("in another space than its memory's", async () => {
    const memory = await remember(ada, { content: "mine alone" });
    const { status, body } = await add(ada, "x", {
      target: "y",
      type: "uses",
      memory_id: memory.id,
      access_entity: SHARED,
    });
    expect([status, body.errors[0].at]).toEqual([422, "access_entity"]);
  });

  test("through a paused app, as a merge is", async () => {
    const who = { org: "paused", sub: "ada" };
    await remember(who, { content: "one", entities: ["aye", "bee"] });
    await world.owner`update brain.apps set is_active = false where org_id = app.org_key('paused')`;
    const answers = [
      await add(who, "aye", { target: "bee", type: "uses" }),
      await world
        .api(who)
        .post("/entities/normalization/merge", { canonical: "aye", variants: ["bee"], dry_run: false }),
    ];
    for (const { status, body } of answers) expect([status, body.code]).toEqual([403, "APP_PAUSED"]);
  });
});

test("two at once say it once", async () => {
  const body = { target: "twin two", type: "calls", access_entity: SHARED };
  const answers = await Promise.all([1, 2, 3, 4].map(() => add(ada, "twin one", body)));
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 201]);
  expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
});
