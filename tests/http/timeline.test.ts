import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { ada, ben, cyd, eve, openWorld, type Person, samely, type World } from "../support/world.ts";

/** What happened when: events that are stored, and dated decisions. */
let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.owner`truncate brain.memories, brain.space_sizes, brain.memory_entities, brain.memory_tags cascade`;
  await world.owner`truncate brain.events cascade`;
  await world.owner`truncate brain.entities cascade`;
});

const SHARED = "project:acme/web";
const store = (event: object, person: Person = ada) => world.api(person).post("/graph/events", event);
const add = async (event: object, person: Person = ada): Promise<string> => {
  const { status, body } = await store({ event_type: "release", ...event }, person);
  expect([status, body.code]).toEqual([201, undefined]);
  return body.id;
};
const remember = async (memory: object, person: Person = ada): Promise<string> =>
  (await world.api(person).post("/memories", memory)).body.id;
const ask = async (query = "", person: Person = ada) => {
  const { status, body } = await world.api(person).get(`/graph/timeline${query}`);
  expect([query, status, body.code]).toEqual([query, 200, undefined]);
  return body;
};
const namesOf = ({ items }: { items: { name: string }[] }) => items.map(({ name }) => name);

describe("an event", () => {
  test("is stored with all it has, and shown so", async () => {
    const memory_id = await remember({ content: "We moved.", access_entity: SHARED });
    const { status, body } = await store({
      name: "The move",
      event_type: "project",
      start_date: "2024-02",
      end_date: "2024-02-29",
      description: "To the new cluster.",
      entities: ["Postgre SQL", "ada", "postgresql"],
      memory_id,
    });
    expect(status).toBe(201);
    expect(body).toEqual({
      id: expect.any(String),
      name: "The move",
      event_type: "project",
      start_date: "2024-02",
      end_date: "2024-02-29",
      description: "To the new cluster.",
      entities: ["ada", "Postgre SQL"],
      memory_id,
      access_entity: SHARED,
      is_derived: false,
    });
    expect((await ask()).items).toEqual([body]);
    expect((await ask("", ben)).items).toEqual([body]);
    for (const person of [cyd, eve]) expect((await ask("", person)).items).toEqual([]);
  });

  test("is in one's own space unless another is named", async () => {
    const own = await store({ name: "a", event_type: "health", start_date: "2024" });
    expect(own.body.access_entity).toBe("user:ada");
    const shared = await store({ name: "b", event_type: "work", start_date: "2024", access_entity: "auto" });
    expect(shared.body.access_entity).toBe(SHARED);
    const deeper = `${SHARED}/deep`;
    expect((await store({ name: "c", event_type: "work", start_date: "2024", access_entity: deeper })).status).toBe(
      201,
    );
    expect(namesOf(await ask("", ben))).toEqual(["b", "c"]);
  });

  test.each([
    ["a day that does not exist", { start_date: "2025-02-29" }, "start_date"],
    ["a month that does not", { start_date: "2025-13" }, "start_date"],
    ["an end that does not exist", { start_date: "2025", end_date: "2025-04-31" }, "end_date"],
    ["an end before its beginning", { start_date: "2025-03", end_date: "2025-02-28" }, "end_date"],
    ["a time", { start_date: "2025-03-03T10:00:00Z" }, "start_date"],
    ["a type there is not", { start_date: "2025", event_type: "party" }, "event_type"],
    ["no name", { start_date: "2025", name: "" }, "name"],
    ["an entity without a name", { start_date: "2025", entities: ["Bun", "..."] }, "entities.1"],
    ["a space that is none", { start_date: "2025", access_entity: "everybody" }, "access_entity"],
    ["a field that is not known", { start_date: "2025", owner: "ben" }, "owner"],
  ])("with %s is refused", async (_what, event, at) => {
    const { status, body } = await store({ name: "x", event_type: "release", ...event });
    expect([status, body.code, body.errors[0].at]).toEqual([422, "INVALID_INPUT", at]);
    expect((await ask()).total).toBe(0);
  });

  test("may end in the year it began in, known by the year alone", async () => {
    await add({ name: "x", start_date: "2025-03", end_date: "2025" });
    expect((await ask()).total).toBe(1);
  });

  test("names a memory its writer can see and that is active, of that space", async () => {
    const own = await remember({ content: "mine" });
    const foreign = await remember({ content: "cyd's" }, cyd);
    const strange = await remember({ content: "eve's" }, eve);
    const archived = await remember({ content: "old" });
    await world.owner`update brain.memories set state = 'archived' where id = ${archived}`;
    const event = { name: "x", event_type: "release", start_date: "2025" };
    const answers = await Promise.all(
      [foreign, strange, archived, crypto.randomUUID()].map((memory_id) => store({ ...event, memory_id })),
    );
    for (const { status } of answers) expect(status).toBe(404);
    expect(new Set(answers.map(({ body }) => JSON.stringify(samely(body)))).size).toBe(1);
    const elsewhere = await store({ ...event, memory_id: own, access_entity: SHARED });
    expect([elsewhere.status, elsewhere.body.errors[0].at]).toEqual([422, "access_entity"]);
    expect((await ask()).total).toBe(0);
  });

  test("goes nowhere the token does not open, nor through an app that is paused", async () => {
    const event = { name: "x", event_type: "release", start_date: "2025" };
    const refused = await store({ ...event, access_entity: "project:acme/other" });
    expect([refused.status, refused.body.code]).toEqual([403, "FORBIDDEN_ACCESS_ENTITY"]);
    const ambiguous = await store({ ...event, access_entity: "auto" }, cyd);
    expect([ambiguous.status, ambiguous.body.code]).toEqual([400, "ACCESS_ENTITY_AMBIGUOUS"]);
    await world.owner`update brain.apps set is_active = false where name = 'rest'`;
    const paused = await store(event);
    await world.owner`update brain.apps set is_active = true where name = 'rest'`;
    expect([paused.status, paused.body.code]).toEqual([403, "APP_PAUSED"]);
    expect((await ask()).total).toBe(0);
  });

  test("is stored once for one key, whoever asks again", async () => {
    const event = { name: "x", event_type: "release", start_date: "2025" };
    const again = (body: object) => world.api(ada).call("POST", "/graph/events", body, { "idempotency-key": "e-1" });
    const [one, other] = [await again(event), await again(event)];
    expect([other.status, other.body]).toEqual([201, one.body]);
    expect((await ask()).total).toBe(1);
    const changed = await again({ ...event, start_date: "2024" });
    expect([changed.status, changed.body.code]).toEqual([409, "CONFLICT"]);
  });

  test("is deleted by who may write it, and is not there for others", async () => {
    const own = await add({ name: "own", start_date: "2025" });
    const shared = await add({ name: "shared", start_date: "2025", access_entity: SHARED });
    for (const person of [ben, cyd, eve]) {
      const there = await world.api(person).delete(`/graph/events/${own}`);
      const absent = await world.api(person).delete(`/graph/events/${crypto.randomUUID()}`);
      expect([there.status, samely(there.body)]).toEqual([404, samely(absent.body)]);
    }
    expect((await world.api(ben).delete(`/graph/events/${shared}`)).status).toBe(204);
    expect((await world.api(ada).delete(`/graph/events/${own}`)).status).toBe(204);
    expect((await world.api(ada).delete(`/graph/events/${own}`)).status).toBe(404);
    expect((await ask()).items).toEqual([]);
  });

  test("is in the audit, both ways", async () => {
    const id = await add({ name: "own", start_date: "2025" });
    await world.api(ada).delete(`/graph/events/${id}`);
    const rows = await world.owner<{ action: string }[]>`
      select action from brain.audit_events where ${id} = any (targets) order by at`;
    expect(rows.length).toBe(2);
  });
});

describe("a dated decision", () => {
  test("is on the timeline with what its memory mentions, as long as it is active", async () => {
    const id = await remember({ content: "On 2025-03-31 we chose Bun.", category: "decision", entities: ["Bun"] });
    const { items } = await ask();
    expect(items).toMatchObject([
      {
        name: "On 2025-03-31 we chose Bun.",
        event_type: "decision",
        start_date: "2025-03-31",
        entities: ["Bun"],
        memory_id: id,
        is_derived: true,
      },
    ]);
    const refused = await world.api(ada).delete(`/graph/events/${items[0].id}`);
    expect([refused.status, refused.body.code]).toEqual([409, "CONFLICT"]);
    await world.owner`update brain.memories set state = 'paused' where id = ${id}`;
    expect((await ask()).items).toEqual([]);
  });

  test("hides with its memory what was stored about it", async () => {
    const memory_id = await remember({ content: "x" });
    const id = await add({ name: "told", start_date: "2025", memory_id });
    for (const state of ["paused", "archived", "deleted"]) {
      await world.owner`update brain.memories set state = ${state} where id = ${memory_id}`;
      expect([state, (await ask()).items]).toEqual([state, []]);
      expect((await world.api(ada).delete(`/graph/events/${id}`)).status).toBe(404);
    }
    await world.owner`update brain.memories set state = 'active' where id = ${memory_id}`;
    expect(namesOf(await ask())).toEqual(["told"]);
  });
});

describe("the timeline", () => {
  const some = async () => {
    await add({ name: "c", start_date: "2024-05-01", event_type: "incident", entities: ["Postgre SQL"] });
    await add({ name: "a", start_date: "2023", end_date: "2025", event_type: "work", entities: ["ada"] });
    await add({ name: "b", start_date: "2024-05", entities: ["PostgreSQL", "ada"] });
    await add({ name: "foreign", start_date: "2024", entities: ["PostgreSQL"] }, cyd);
    await remember({ content: "2025-01-02: PostgreSQL 18 it is.", category: "decision", entities: ["postgresql"] });
  };

  test("is in order of time, a year before its months and these before their days", async () => {
    await some();
    expect(namesOf(await ask())).toEqual(["a", "b", "c", "2025-01-02: PostgreSQL 18 it is."]);
  });

  test.each([
    ["?entity_name=POSTGRE-SQL", ["b", "c", "2025-01-02: PostgreSQL 18 it is."]],
    ["?entity_name=ada&event_types=work", ["a"]],
    ["?event_types=incident,release", ["b", "c"]],
    ["?event_types=decision", ["2025-01-02: PostgreSQL 18 it is."]],
    ["?start_year=2024&end_year=2024", ["a", "b", "c"]],
    ["?start_year=2025", ["a", "2025-01-02: PostgreSQL 18 it is."]],
    ["?end_year=2023", ["a"]],
    ["?end_year=1999", []],
    ["?entity_name=nobody", []],
  ])("%s", async (query, expected) => {
    await some();
    const { items, total, next_cursor } = await ask(query);
    expect([namesOf({ items }), total, next_cursor]).toEqual([expected, expected.length, null]);
  });

  test("finds what was merged under either name", async () => {
    await add({ name: "x", start_date: "2025", entities: ["Postgres"] });
    await add({ name: "y", start_date: "2026", entities: ["PostgreSQL"] });
    await world.owner`update brain.entities set merged_into = 'postgresql' where key = 'postgres'`;
    for (const entity_name of ["postgres", "Postgre SQL"])
      expect(namesOf(await ask(`?entity_name=${entity_name}`))).toEqual(["x", "y"]);
  });

  test("is walked by its cursor, while events come and go", async () => {
    for (const [place, start_date] of ["2021", "2022", "2022", "2023"].entries())
      await add({ name: `${place}`, start_date });
    const first = await ask("?limit=2");
    expect([namesOf(first), first.total]).toEqual([["0", "1"], 4]);
    await add({ name: "before", start_date: "2020" });
    const second = await ask(`?limit=2&cursor=${first.next_cursor}`);
    expect([namesOf(second), second.total, second.next_cursor]).toEqual([["2", "3"], null, null]);
  });

  test.each(["limit=0", "limit=201", "event_types=party", "start_year=x", "start_year=2025&end_year=2024", "cursor=x"])(
    "?%s is refused",
    async (query) => {
      const { status, body } = await world.api(ada).get(`/graph/timeline?${query}`);
      expect([status, body.code]).toEqual([422, "INVALID_INPUT"]);
    },
  );
});
