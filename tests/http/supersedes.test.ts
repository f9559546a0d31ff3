import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { McpError } from "@modelcontextprotocol/sdk/types.js";
import { ada, ben, cyd, eve, openWorld, type Person, samely, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const SHARED = "project:acme/web";
const store = async (person: typeof ada, memory: Record<string, unknown>) =>
  (await world.api(person).post("/memories", memory)).body;
const found = async (person: typeof ada, query: string, filter = {}) =>
  (await world.api(person).post("/search", { query, filter })).body.results.map(({ id }: { id: string }) => id);

describe("a newer memory replaces an older one", () => {
  test("both stay readable, each names the other, and search finds the newer alone unless asked", async () => {
    const older = await store(ada, { content: "deploy on quokka by hand" });
    const newer = await store(ada, { content: "deploy on quokka by a pipeline", supersedes: older.id });
    expect(newer).toMatchObject({ supersedes: older.id, superseded_by: null });
    expect((await world.api(ada).get(`/memories/${older.id}`)).body).toMatchObject({
      supersedes: null,
      superseded_by: newer.id,
    });
    expect(await found(ada, "quokka")).toEqual([newer.id]);
    expect((await found(ada, "quokka", { include_superseded: true })).sort()).toEqual([older.id, newer.id].sort());
    const listed = (await world.api(ada).get("/memories?search_query=quokka")).body;
    expect([listed.total, listed.items[0].id]).toEqual([1, newer.id]);
    expect((await world.api(ada).get("/memories?search_query=quokka&include_superseded=true")).body.total).toBe(2);
    const all = (await world.api(ada).get("/memories")).body.items;
    expect(all.find(({ id }: { id: string }) => id === older.id)?.superseded_by).toBe(newer.id);
  });

  test("a change sets it and null clears it; tools do the same", async () => {
    const older = await store(ada, { content: "numbat one" });
    const newer = await store(ada, { content: "numbat two" });
    const { body } = await world.api(ada).put(`/memories/${newer.id}`, { supersedes: older.id });
    expect(body).toMatchObject({ supersedes: older.id, revision: 2 });
    expect((await world.api(ada).put(`/memories/${newer.id}`, { supersedes: null })).body.supersedes).toBeNull();
    const assistant = await world.assistant(ada);
    await assistant.call("update_memory", { memory_id: newer.id, supersedes: older.id });
    expect(await assistant.call("get_memory", { memory_id: older.id })).toMatchObject({ superseded_by: newer.id });
    await assistant.call("update_memory", { memory_id: newer.id, clear: ["supersedes"] });
    expect(await assistant.call("get_memory", { memory_id: older.id })).not.toHaveProperty("superseded_by");
    const added = await assistant.call("add_memories", { text: "numbat three", supersedes: newer.id });
    expect(await assistant.call("search_memory", { query: "three numbat" })).toMatchObject({
      results: [
        { id: (added as { memories: { id: string }[] }).memories[0]?.id, supersedes: newer.id },
        { id: older.id },
      ],
    });
  });

  test("what is deleted or archived replaces nothing, and is replaced by nothing", async () => {
    const older = await store(ada, { content: "bilby old" });
    const newer = await store(ada, { content: "bilby new", supersedes: older.id });
    await world.api(ada).delete(`/memories/${newer.id}`);
    expect(await found(ada, "bilby")).toEqual([older.id]);
    expect((await world.api(ada).get(`/memories/${older.id}`)).body.superseded_by).toBeNull();
    const another = await store(ada, { content: "bilby newest", supersedes: older.id });
    await world.api(ada).delete(`/memories/${older.id}`);
    expect((await world.api(ada).get(`/memories/${another.id}`)).body.supersedes).toBeNull();
  });

  test("only an older one: no two replace each other, none itself", async () => {
    const older = await store(ada, { content: "wombat old" });
    const newer = await store(ada, { content: "wombat new", supersedes: older.id });
    for (const supersedes of [newer.id, older.id]) {
      const { status, body } = await world.api(ada).put(`/memories/${older.id}`, { supersedes });
      expect([status, body.errors]).toEqual([422, [{ at: "supersedes", message: "must be an older memory" }]]);
    }
  });

  test("of several that replace it, the newest is named", async () => {
    const older = await store(ada, { content: "dingo old" });
    await store(ada, { content: "dingo second", supersedes: older.id });
    const third = await store(ada, { content: "dingo third", supersedes: older.id });
    expect((await world.api(ada).get(`/memories/${older.id}`)).body.superseded_by).toBe(third.id);
  });
});

describe("who does not see the one knows nothing of it by the other", () => {
  test("a private memory that replaces a shared one hides it from its owner alone", async () => {
    const shared = await store(ben, { content: "shared echidna", access_entity: SHARED });
    const own = await store(ada, { content: "private echidna", supersedes: shared.id });
    expect(await found(ada, "echidna")).toEqual([own.id]);
    expect(await found(ben, "echidna")).toEqual([shared.id]);
    expect((await world.api(ben).get(`/memories/${shared.id}`)).body.superseded_by).toBeNull();
  });

  test("a shared memory that replaces a private one does not name it to others, in its history neither", async () => {
    const own = await store(ada, { content: "private kowari" });
    const shared = await store(ada, { content: "shared kowari", access_entity: SHARED, supersedes: own.id });
    await world.api(ada).put(`/memories/${shared.id}`, { category: "decision" });
    const { body } = await world.api(ben).get(`/memories/${shared.id}`);
    const history = await world.api(ben).get(`/memories/${shared.id}/history`);
    expect(body.supersedes).toBeNull();
    expect(JSON.stringify([body, history.body])).not.toContain(own.id);
  });
});

/** Every place that takes the id of another memory, and what it is to answer where the caller cannot see that one. */
describe("a reference to what one cannot see", () => {
  const REFERENCES: [string, (id: string) => Promise<unknown>][] = [
    ["supersedes of a new memory", (id) => world.api(ada).post("/memories", { content: "s", supersedes: id })],
    [
      "supersedes in a batch",
      (id) =>
        world.api(ada).post("/memories/batch", { memories: [{ content: "b1" }, { content: "b2", supersedes: id }] }),
    ],
    [
      "supersedes of a changed memory",
      async (id) => world.api(ada).put(`/memories/${(await mine()).id}`, { supersedes: id }),
    ],
    [
      "supersedes by a tool",
      async (id) => (await world.assistant(ada)).call("add_memories", { text: "t", supersedes: id }),
    ],
    [
      "supersedes by a changing tool",
      async (id) =>
        (await world.assistant(ada)).call("update_memory", { memory_id: (await mine()).id, supersedes: id }),
    ],
    ["read", (id) => world.api(ada).get(`/memories/${id}`)],
    ["history", (id) => world.api(ada).get(`/memories/${id}/history`)],
    ["change", (id) => world.api(ada).put(`/memories/${id}`, { content: "taken" })],
    ["move", (id) => world.api(ada).put(`/memories/${id}`, { access_entity: SHARED })],
    [
      "change by revision",
      (id) => world.api(ada).call("PATCH", `/memories/${id}`, { content: "x" }, { "if-match": '"1"' }),
    ],
    ["delete", (id) => world.api(ada).delete(`/memories/${id}`)],
    ["delete in bulk", async (id) => world.api(ada).delete("/memories", { memory_ids: [id] })],
    ["read by a tool", async (id) => (await world.assistant(ada)).call("get_memory", { memory_id: id, history: true })],
    [
      "read as a resource",
      async (id) =>
        (await world.assistant(ada)).client
          .readResource({ uri: `memory://${id}` })
          .catch(({ data }: McpError) => ({ problem: data })),
    ],
    [
      "change by a tool",
      async (id) => (await world.assistant(ada)).call("update_memory", { memory_id: id, text: "x" }),
    ],
    ["delete by a tool", async (id) => (await world.assistant(ada)).call("delete_memories", { memory_ids: [id] })],
  ];
  let own: { id: string } | undefined;
  const mine = async () => {
    own ??= await store(ada, { content: "mine" });
    return own as { id: string };
  };

  /** Status, body and headers, without what differs between any two answers. */
  const told = (answer: unknown) => {
    const { status, body, problem } = answer as { status?: number; body?: object; problem?: object };
    if (problem) return samely(problem);
    return status ? { status, body: body && samely(body) } : answer;
  };

  const everything = () => world.owner`
    select md5(string_agg(memories::text, ',' order by id)) as sum from brain.memories
    where content in ('of cyd', 'of eve', 'of ben', 'of cyd, deleted')`;

  test.each(REFERENCES)(
    "%s: a colleague's, a foreign org's, a deleted and a random id are one answer",
    async (_, ask) => {
      const theirs = [
        await store(cyd, { content: "of cyd" }),
        await store(eve, { content: "of eve" }),
        await store(ben, { content: "of ben" }),
        await store(cyd, { content: "of cyd, deleted" }),
      ];
      await world.api(cyd).delete(`/memories/${theirs[3].id}`);
      const before = await everything();
      const expected = told(await ask(crypto.randomUUID()));
      for (const { id } of theirs) expect(told(await ask(id))).toEqual(expected);
      expect(await everything()).toEqual(before);
      expect((await world.api(cyd).get(`/memories/${theirs[0].id}`)).status).toBe(200);
      expect((await world.api(eve).get(`/memories/${theirs[1].id}`)).body).toMatchObject({ superseded_by: null });
    },
  );
});

describe("a decision that may replace an older one", () => {
  const dora: Person = { org: "similar", sub: "dora", grants: ["project:similar"] };
  const store = async (memory: object) => (await world.api(dora).post("/memories", memory)).body;

  test("is answered with it, from its own space alone, until it says that it replaces it", async () => {
    for (let n = 0; n < 20; n++) await store({ content: `filler ${n} about topic${n}` });
    const old = await store({ content: "Retries: three attempts, then the dead letter queue.", category: "decision" });
    expect(old.similar).toBeUndefined();
    const content = "Retries: five attempts, then the dead letter queue.";
    expect((await store({ content, category: "decision", access_entity: "project:similar" })).similar).toBeUndefined();
    const { similar } = await store({ content, category: "decision" });
    expect(similar).toEqual([
      { id: old.id, score: expect.any(Number), preview: "Retries: three attempts, then the dead letter queue." },
    ]);
    const six = { content: "Retries: six attempts, then the dead letter queue.", category: "decision" };
    const { similar: others } = await store({ ...six, supersedes: old.id });
    expect(others.map(({ preview }: { preview: string }) => preview)).toEqual([content]);
    expect((await store({ content: "Retries: seven attempts, then the dead letter queue." })).similar).toBeUndefined();
    expect((await store({ content: "Bananas are yellow.", category: "decision" })).similar).toBeUndefined();
  });
});
