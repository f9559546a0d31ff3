import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ada, ben, cyd, eve, openWorld, otherAda, type Person, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

type Action = "archive" | "pause" | "restore";
const act = (person: Person, action: Action, selector: object, headers: Record<string, string> = {}) =>
  world.api(person).call("POST", `/memories/actions/${action}`, selector, headers);
const store = async (person: Person, content: string, fields: object = {}): Promise<string> =>
  (await world.api(person).post("/memories", { content, ...fields })).body.id;
const stateOf = async (id: string) =>
  (await world.owner<{ state: string }[]>`select state from brain.memories where id = ${id}`)[0]?.state;
const putInto = (id: string, state: string) => world.owner`update brain.memories set state = ${state} where id = ${id}`;

describe("one memory", () => {
  // data.md: active to any; paused and archived back to active; deleted by restore.
  test.each([
    ["archive", "active", "archived"],
    ["archive", "paused", "paused"],
    ["archive", "archived", "archived"],
    ["archive", "deleted", "deleted"],
    ["pause", "active", "paused"],
    ["pause", "paused", "paused"],
    ["pause", "archived", "archived"],
    ["pause", "deleted", "deleted"],
    ["restore", "active", "active"],
    ["restore", "paused", "active"],
    ["restore", "archived", "active"],
    ["restore", "deleted", "active"],
  ] as const)("%s takes what is %s to %s", async (action, from, to) => {
    const id = await store(ada, `${action} ${from}`);
    if (from !== "active") await putInto(id, from);
    const { status, body } = await act(ada, action, { memory_ids: [id] });
    const changed = from === to ? 0 : 1;
    expect([status, body]).toEqual([200, { changed, skipped: 1 - changed }]);
    expect(await stateOf(id)).toBe(to);
  });

  test("archived_at comes and goes, and each step is a revision with its event in the audit", async () => {
    const id = await store(ada, "to the archive and back");
    await act(ada, "archive", { memory_ids: [id] });
    const { body: archived } = await world.api(ada).get(`/memories/${id}`);
    expect(archived).toMatchObject({ state: "archived", revision: 2, archived_at: expect.any(String) });
    await act(ada, "restore", { memory_ids: [id] });
    const { body: restored } = await world.api(ada).get(`/memories/${id}`);
    expect(restored).toMatchObject({ state: "active", revision: 3, archived_at: null, deleted_at: null });
    const { body: history } = await world.api(ada).get(`/memories/${id}/history`);
    expect(history.items.map(({ state }: { state: string }) => state)).toEqual(["active", "archived", "active"]);
    const { body: audit } = await world.api(ada).get(`/audit?target=${id}`);
    expect(audit.items.map(({ action }: { action: string }) => action)).toEqual([
      "memory.restored",
      "memory.archived",
      "memory.created",
    ]);
  });

  test("what is paused is in no list, no search and no count, and can be read by its id", async () => {
    const word = `pausing${crypto.randomUUID().slice(0, 8)}`;
    const id = await store(ada, word, { category: "glossary" });
    await act(ada, "pause", { memory_ids: [id] });
    expect((await world.api(ada).post("/search", { query: word })).body.total_count).toBe(0);
    expect((await world.api(ada).get(`/memories?category=glossary`)).body.total).toBe(0);
    expect((await world.api(ada).get("/memories?state=paused&category=glossary")).body.items[0].id).toBe(id);
    expect((await world.api(ada).get(`/memories/${id}`)).body.state).toBe("paused");
  });
});

describe("restoring what was deleted", () => {
  const deletedFor = async (id: string, days: number) => {
    await putInto(id, "deleted");
    await world.owner`alter table brain.memories disable trigger user`;
    await world.owner`update brain.memories set deleted_at = now() - make_interval(days => ${days}, mins => 1) where id = ${id}`;
    await world.owner`alter table brain.memories enable trigger user`;
  };

  test("goes for 30 days", async () => {
    const [young, old] = [await store(ada, "29 days gone"), await store(ada, "30 days gone")];
    await deletedFor(young, 29);
    await deletedFor(old, 30);
    const { body } = await act(ada, "restore", { memory_ids: [young, old] });
    expect(body).toEqual({ changed: 1, skipped: 1 });
    expect((await world.api(ada).get(`/memories/${young}`)).body).toMatchObject({ state: "active", deleted_at: null });
    expect((await world.api(ada).get(`/memories/${old}`)).status).toBe(404);
  });

  test("needs its id: nothing deleted comes back with a category or with all", async () => {
    const person = { org: "acme", sub: "dora" };
    const [deleted, paused] = [await store(person, "deleted"), await store(person, "paused")];
    await putInto(deleted, "deleted");
    await putInto(paused, "paused");
    expect((await act(person, "restore", { category: "note" })).body).toEqual({ changed: 1, skipped: 0 });
    expect((await act(person, "restore", { all: true })).body).toEqual({ changed: 0, skipped: 0 });
    expect(await stateOf(deleted)).toBe("deleted");
  });

  test("a twin that is active by now is left alone, and what would be its twin is skipped", async () => {
    const first = await store(ada, "said twice");
    await putInto(first, "deleted");
    const second = await store(ada, "said twice");
    expect((await act(ada, "restore", { memory_ids: [first] })).body).toEqual({ changed: 0, skipped: 1 });
    expect([await stateOf(first), await stateOf(second)]).toEqual(["deleted", "active"]);
  });

  test("of two that say the same the newer comes back", async () => {
    const first = await store(ada, "said and deleted twice");
    await putInto(first, "archived");
    const second = await store(ada, "said and deleted twice");
    await putInto(second, "deleted");
    expect((await act(ada, "restore", { memory_ids: [first, second] })).body).toEqual({ changed: 1, skipped: 1 });
    expect([await stateOf(first), await stateOf(second)]).toEqual(["archived", "active"]);
  });

  test("while others store twins, all at once", async () => {
    const contents = Array.from({ length: 20 }, (_, index) => `raced for ${index}`);
    const ids = await Promise.all(contents.map((content) => store(ada, content)));
    await world.api(ada).delete("/memories", { memory_ids: ids });
    const answers = await Promise.all([
      act(ada, "restore", { memory_ids: ids }),
      ...contents.map((content) => world.api(ada).post("/memories", { content })),
      act(ada, "restore", { memory_ids: ids }),
    ]);
    expect(answers.map(({ status }) => status).filter((status) => status !== 200 && status !== 201)).toEqual([]);
    const [{ active } = { active: 0 }] = await world.owner<{ active: number }[]>`
      select count(*)::int as active from brain.memories where content like 'raced for %' and state = 'active'`;
    expect(active).toBe(20);
  });
});

describe("many at once", () => {
  const crew = (sub: string, grants: string[] = []): Person => ({ org: "acme", sub, grants });

  test("by category, by app, by both, and all", async () => {
    const fay = crew("fay");
    const assistant = await world.assistant(fay, { user_agent: "cursor/1" });
    await assistant.call("add_memories", { memories: [{ text: "one", category: "decision" }, { text: "two" }] });
    await store(fay, "three", { category: "decision" });
    await store(fay, "four");
    const { body: list } = await world.api(fay).get("/memories");
    const app_id = list.items.find(({ app }: { app: string }) => app === "cursor").app_id;
    const paused = async () =>
      (await world.api(fay).get("/memories?state=paused")).body.items.map(
        ({ content }: { content: string }) => content,
      );

    expect((await act(fay, "pause", { app_id, category: "decision" })).body).toEqual({ changed: 1, skipped: 0 });
    expect(await paused()).toEqual(["one"]);
    expect((await act(fay, "pause", { app_id })).body).toEqual({ changed: 1, skipped: 0 });
    expect((await act(fay, "pause", { category: "decision" })).body).toEqual({ changed: 1, skipped: 0 });
    expect((await paused()).sort()).toEqual(["one", "three", "two"]);
    expect((await act(fay, "restore", { all: true })).body).toEqual({ changed: 3, skipped: 0 });
    expect((await act(fay, "archive", { all: true })).body).toEqual({ changed: 4, skipped: 0 });
  });

  test("nothing beyond the caller's spaces, whatever is asked for", async () => {
    const [gus, hal] = [crew("gus", ["project:acme/ops"]), crew("hal")];
    const shared = await store(gus, "shared", { access_entity: "project:acme/ops" });
    const own = await store(gus, "own");
    const others = [await store(hal, "hal's"), await store(eve, "eve's"), await store(otherAda, "the other ada's")];
    for (const selector of [{ all: true }, { category: "note" }, { memory_ids: others }]) {
      const { status, body } = await act({ ...gus, grants: [] }, "pause", selector);
      expect([status, body.changed]).toEqual([200, "all" in selector ? 1 : 0]); // gus's own, by the first
    }
    expect(await Promise.all([own, shared, ...others].map(stateOf))).toEqual([
      "paused",
      ...[shared, ...others].map(() => "active"),
    ]);
  });

  test("foreign, unknown and repeated ids are skipped together", async () => {
    const mine = await store(ada, "mine to pause");
    const memory_ids = [mine, mine.toUpperCase(), await store(cyd, "not mine"), "01a2079c-0000-7000-8000-000000000000"];
    expect((await act(ada, "pause", { memory_ids })).body).toEqual({ changed: 1, skipped: 2 });
  });

  test("a team-mate may, and the owner sees who it was", async () => {
    const id = await store(ada, "for both of us", { access_entity: "project:acme/web" });
    expect((await act(ben, "archive", { memory_ids: [id] })).body).toEqual({ changed: 1, skipped: 0 });
    const { body } = await world.api(ada).get(`/memories/${id}/history`);
    expect(body.items[0]).toMatchObject({ state: "archived", updated_by: "ben" });
  });

  test("the same key does it once", async () => {
    const id = await store(ada, "once only");
    const key = { "idempotency-key": crypto.randomUUID() };
    const [first, second] = [
      await act(ada, "pause", { memory_ids: [id] }, key),
      await act(ada, "pause", { memory_ids: [id] }, key),
    ];
    expect([first.body, second.body]).toEqual([
      { changed: 1, skipped: 0 },
      { changed: 1, skipped: 0 },
    ]);
    expect((await act(ada, "archive", { memory_ids: [id] }, key)).body.code).toBe("CONFLICT");
  });

  test.each([
    [{}, ""],
    [{ all: false }, "all"],
    [{ all: true, category: "note" }, "all"],
    [{ memory_ids: [] }, "memory_ids"],
    [{ memory_ids: ["x"] }, "memory_ids.0"],
    [{ category: "gossip" }, "category"],
    [{ app_id: "x" }, "app_id"],
    [{ global_pause: true }, "global_pause"],
    [{ state: "deleted", all: true }, "state"],
  ])("refused: %j", async (selector, at) => {
    for (const action of ["archive", "pause", "restore"] as const) {
      const { status, body } = await act(ada, action, selector);
      expect([status, body.code]).toEqual([422, "INVALID_INPUT"]);
      expect(body.errors.map((error: { at: string }) => error.at)).toContain(at);
    }
    expect((await act(ada, "pause", { all: true }, { "if-match": "1" })).body.errors[0].at).toBe("If-Match");
  });
});

test("categories count what is active and the caller's to see", async () => {
  const [ivy, jon] = [
    { org: "acme", sub: "ivy", grants: ["project:acme/cat"] },
    { org: "acme", sub: "jon", grants: ["project:acme/cat"] },
  ];
  await store(ivy, "a", { category: "decision", access_entity: "project:acme/cat" });
  await store(ivy, "b", { category: "decision" });
  await store(ivy, "c", { category: "runbook" });
  const deleted = await store(ivy, "d", { category: "testing" });
  await world.api(ivy).delete(`/memories/${deleted}`);
  await act(ivy, "archive", { memory_ids: [await store(ivy, "e", { category: "security" })] });
  const paging = { total_is: "exact", page: 1, size: 11, pages: 1, next_cursor: null };
  expect((await world.api(ivy).get("/memories/categories")).body).toEqual({
    items: [
      { category: "decision", count: 2 },
      { category: "runbook", count: 1 },
    ],
    total: 2,
    ...paging,
  });
  expect((await world.api(jon).get("/memories/categories")).body.items).toEqual([{ category: "decision", count: 1 }]);
});
