import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ada, ben, cyd, eve, openWorld, samely, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const RANDOM_ID = "01a2079c-0000-7000-8000-000000000000";
const store = async (person = ada, fields: object = {}) =>
  (await world.api(person).post("/memories", { content: `memory ${crypto.randomUUID()}`, ...fields })).body;

describe("ETag and If-Match", () => {
  test("every answer with one memory has its revision as ETag", async () => {
    const api = world.api(ada);
    const created = await api.post("/memories", { content: "tagged" });
    const { id } = created.body;
    const answers = [
      created,
      await api.get(`/memories/${id}`),
      await api.put(`/memories/${id}`, { category: "decision" }),
      await api.call("PATCH", `/memories/${id}`, { category: "note" }),
      await api.get(`/memories/${id}`),
    ];
    expect(answers.map(({ headers }) => headers.get("etag"))).toEqual(['"1"', '"1"', '"2"', '"3"', '"3"']);
  });

  test.each(['"1"', "1", "*"])("If-Match: %s lets a change of revision 1 through", async (tag) => {
    const { id } = await store();
    const { status, body } = await world
      .api(ada)
      .call("PUT", `/memories/${id}`, { category: "decision" }, { "if-match": tag });
    expect({ status, revision: body.revision }).toEqual({ status: 200, revision: 2 });
  });

  test("a change or deletion of another revision is stale, and changes nothing", async () => {
    const { id } = await store();
    const api = world.api(ada);
    await api.put(`/memories/${id}`, { category: "decision" });
    const before = (await api.get(`/memories/${id}`)).body;
    for (const [method, body] of [
      ["PUT", { category: "runbook" }],
      ["PATCH", { category: "runbook" }],
      ["DELETE"],
    ] as const) {
      const answer = await api.call(method, `/memories/${id}`, body, { "if-match": '"1"' });
      expect({ status: answer.status, code: answer.body.code }).toEqual({ status: 409, code: "STALE_REVISION" });
    }
    expect((await api.get(`/memories/${id}`)).body).toEqual(before);
    expect((await api.call("DELETE", `/memories/${id}`, undefined, { "if-match": '"2"' })).status).toBe(204);
  });

  test("a foreign memory is absent, whatever revision one asks for", async () => {
    const { id } = await store();
    for (const target of [id, RANDOM_ID]) {
      const { status } = await world
        .api(cyd)
        .call("PUT", `/memories/${target}`, { category: "decision" }, { "if-match": '"7"' });
      expect(status).toBe(404);
    }
  });

  test.each(["x", '"', "-1", 'W/"1"', "1.5", '"1", "2"'])("If-Match: %s is refused", async (tag) => {
    const { id } = await store();
    const { status, body } = await world
      .api(ada)
      .call("PUT", `/memories/${id}`, { category: "decision" }, { "if-match": tag });
    expect({ status, at: body.errors?.[0].at }).toEqual({ status: 422, at: "If-Match" });
  });

  test("where there is no one memory to match, If-Match is refused", async () => {
    for (const [method, path, body] of [
      ["POST", "/memories", { content: "new" }],
      ["POST", "/memories/batch", { memories: [{ content: "new" }] }],
      ["DELETE", "/memories", { memory_ids: [RANDOM_ID] }],
    ] as const) {
      const { status, body: problem } = await world.api(ada).call(method, path, body, { "if-match": "1" });
      expect({ status, at: problem.errors?.[0].at }).toEqual({ status: 422, at: "If-Match" });
    }
  });

  test("of ten changes that ask for the same revision one is done", async () => {
    const { id } = await store();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        world.api(ada).call("PUT", `/memories/${id}`, { thread: `${n}` }, { "if-match": "1" }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(9).fill(409)]);
  });

  test("the tool has if_revision", async () => {
    const { id } = await store();
    const { call } = await world.assistant(ada);
    expect(await call("update_memory", { memory_id: id, category: "decision", if_revision: 1 })).toMatchObject({
      revision: 2,
    });
    expect(await call("update_memory", { memory_id: id, category: "note", if_revision: 1 })).toMatchObject({
      problem: { code: "STALE_REVISION", hint: expect.any(String) },
    });
  });
});

describe("history", () => {
  test("each revision as it stood, newest first, of a deleted memory too", async () => {
    const api = world.api(ada);
    const { id } = await store(ada, {
      content: "first",
      access_entity: "auto",
      tags: ["a"],
      metadata: { zeta: 1, b: 2 },
    });
    await world.api(ben).put(`/memories/${id}`, { content: "second", category: "decision" });
    await api.put(`/memories/${id}`, { tags: null });
    await api.delete(`/memories/${id}`);
    const { status, body } = await api.get(`/memories/${id}/history`);
    expect({ status, total: body.total, pages: body.pages }).toEqual({ status: 200, total: 4, pages: 1 });
    const told = body.items.map((item: Record<string, unknown>) => [
      item.revision,
      item.state,
      item.content,
      item.category,
      item.tags,
      item.updated_by,
    ]);
    expect(told).toEqual([
      [4, "deleted", "second", "decision", {}, "ada"],
      [3, "active", "second", "decision", {}, "ada"],
      [2, "active", "second", "decision", { a: true }, "ben"],
      [1, "active", "first", "note", { a: true }, "ada"],
    ]);
    expect(body.items[3]).toMatchObject({
      metadata: { zeta: 1, b: 2 },
      access_entity: "project:acme/web",
      evidence: [],
      thread: null,
    });
    expect(body.items.map((item: { metadata: object }) => Object.keys(item.metadata).join())).toEqual(
      Array(4).fill("zeta,b"),
    );
    expect((await api.get(`/memories/${id}/history?size=1&page=2`)).body.items).toMatchObject([{ revision: 3 }]);
  });

  test("what was said in a space stays with those who read that space", async () => {
    const { id } = await store(ada, { content: "private thoughts" });
    await world.api(ada).put(`/memories/${id}`, { content: "fit for the team", access_entity: "project:acme/web" });
    const { body: hers } = await world.api(ada).get(`/memories/${id}/history`);
    expect(hers.items.map((item: { content: string }) => item.content)).toEqual([
      "fit for the team",
      "private thoughts",
    ]);
    const { body: his } = await world.api(ben).get(`/memories/${id}/history`);
    expect({ contents: his.items.map((item: { content: string }) => item.content), total: his.total }).toEqual({
      contents: ["fit for the team"],
      total: 1,
    });
    await world.api(ada).put(`/memories/${id}`, { access_entity: "user:ada" });
    expect((await world.api(ben).get(`/memories/${id}/history`)).status).toBe(404);
  });

  test("a foreign one and a random one have none, in the same words", async () => {
    const { id } = await store();
    for (const person of [cyd, eve]) {
      const foreign = await world.api(person).get(`/memories/${id}/history`);
      const random = await world.api(person).get(`/memories/${RANDOM_ID}/history`);
      expect([foreign.status, samely(foreign.body)]).toEqual([404, samely(random.body)]);
    }
  });

  test("get_memory gives it when asked", async () => {
    const { id } = await store(ada, { content: "one way" });
    await world.api(ada).put(`/memories/${id}`, { content: "another way" });
    const { call } = await world.assistant(ada);
    expect(await call("get_memory", { memory_id: id, history: true })).toMatchObject({
      content: "another way",
      history: [
        { revision: 2, content: "another way", updated_by: "ada" },
        { revision: 1, content: "one way", state: "active" },
      ],
    });
    expect(await call("get_memory", { memory_id: id })).not.toHaveProperty("history");
  });
});

describe("duplicates", () => {
  test("the same content in the same space is the same memory", async () => {
    const api = world.api(ada);
    const first = await api.post("/memories", { content: "twice told", category: "decision" });
    const again = await api.post("/memories", { content: "  twice told\n", category: "note", tags: ["x"] });
    expect({ status: again.status, body: again.body }).toEqual({
      status: 200,
      body: { ...first.body, duplicate: true },
    });
    const elsewhere = await api.post("/memories", { content: "twice told", access_entity: "project:acme/web" });
    const another = await world.api(cyd).post("/memories", { content: "twice told" });
    expect([elsewhere.status, another.status]).toEqual([201, 201]);
  });

  test("content that differs in case or inner blanks is other content", async () => {
    for (const content of ["Case", "case", "two  blanks", "two blanks"])
      expect((await world.api(ada).post("/memories", { content })).status).toBe(201);
  });

  test("in a batch too, with an earlier one of the batch as well", async () => {
    const api = world.api(ada);
    const known = await api.post("/memories", { content: "known before" });
    const memories = ["fresh", "known before", "fresh"].map((content) => ({ content }));
    const { status, body } = await api.post("/memories/batch", { memories });
    expect(status).toBe(201);
    expect(body.items.map((item: { duplicate?: boolean }) => item.duplicate ?? false)).toEqual([false, true, true]);
    expect([body.items[1].id, body.items[2].id]).toEqual([known.body.id, body.items[0].id]);
    expect((await api.post("/memories/batch", { memories })).status).toBe(200);
  });

  test("twenty at once are one", async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => world.api(ada).post("/memories", { content: "all at once" })),
    );
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array(19).fill(200), 201]);
  });

  test("batches of the same in opposite orders do not stand in each other's way", async () => {
    const memories = Array.from({ length: 60 }, (_, n) => ({
      content: `crossing ${n}`,
      access_entity: "project:acme/web",
    }));
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, n) =>
        world.api(n % 3 ? ada : ben).post("/memories/batch", { memories: n % 2 ? [...memories].reverse() : memories }),
      ),
    );
    expect(new Set(answers.map(({ status }) => status)).size).toBeLessThanOrEqual(2);
    expect(answers.every(({ status }) => status === 200 || status === 201)).toBe(true);
    expect(new Set(answers.flatMap(({ body }) => body.items.map((item: { id: string }) => item.id))).size).toBe(60);
  });

  test("one that is deleted or archived is no twin", async () => {
    const api = world.api(ada);
    const first = await api.post("/memories", { content: "comes again" });
    await api.delete(`/memories/${first.body.id}`);
    const second = await api.post("/memories", { content: "comes again" });
    expect(second.status).toBe(201);
    await world.owner`update brain.memories set state = 'archived' where id = ${second.body.id}`;
    expect((await api.post("/memories", { content: "comes again" })).status).toBe(201);
  });

  test("a change or move into a twin is a conflict that names it, and changes nothing", async () => {
    const api = world.api(ada);
    const twin = await store(ada, { content: "settled", access_entity: "project:acme/web" });
    const other = await store(ada, { content: "open", access_entity: "project:acme/web" });
    const mine = await store(ada, { content: "settled" });
    for (const [id, changes] of [
      [other.id, { content: "settled" }],
      [mine.id, { access_entity: "project:acme/web" }],
    ] as const) {
      const { status, body } = await api.put(`/memories/${id}`, changes);
      expect({ status, code: body.code, options: body.options }).toEqual({
        status: 409,
        code: "CONFLICT",
        options: [twin.id],
      });
    }
    expect((await api.get(`/memories/${mine.id}`)).body).toEqual(mine);
  });

  test("the tool says so", async () => {
    const { call } = await world.assistant(ada);
    const first = (await call("add_memories", { text: "said to the tool" })) as { memories: { id: string }[] };
    expect(await call("add_memories", { text: "said to the tool" })).toEqual({
      memories: [{ ...first.memories[0], id: first.memories[0]?.id, duplicate: true }],
    });
  });
});

describe("Idempotency-Key", () => {
  const key = () => ({ "idempotency-key": crypto.randomUUID() });

  test("a retried write is the write it was", async () => {
    const api = world.api(ada);
    const headers = key();
    const body = { content: "once only" };
    const first = await api.call("POST", "/memories", body, headers);
    await api.put(`/memories/${first.body.id}`, { category: "decision" });
    const again = await api.call("POST", "/memories", body, headers);
    expect({ status: again.status, body: again.body }).toEqual({
      status: 201,
      body: { ...first.body, category: "decision", revision: 2, updated_at: again.body.updated_at },
    });
  });

  test("twenty at once are one write, of every kind", async () => {
    const api = world.api(ada);
    const { id } = await store();
    const doomed = await Promise.all([store(), store()]);
    const memory_ids = doomed.map((memory) => memory.id);
    for (const [method, path, body] of [
      ["POST", "/memories/batch", { memories: [{ content: "b1" }, { content: "b2" }] }],
      ["PUT", `/memories/${id}`, { thread: "changed once" }],
      ["DELETE", "/memories", { memory_ids }],
      ["DELETE", `/memories/${(await store()).id}`, undefined],
    ] as const) {
      const headers = key();
      const answers = await Promise.all(Array.from({ length: 20 }, () => api.call(method, path, body, headers)));
      const distinct = new Set(answers.map((answer) => JSON.stringify([answer.status, answer.body])));
      expect([method, path, distinct.size, answers[0]?.status]).toEqual([method, path, 1, expect.any(Number)]);
      expect(answers[0]?.status).toBeLessThan(300);
    }
    expect((await api.get(`/memories/${id}`)).body.revision).toBe(2);
  });

  test("ten at once with one key, into a space and by a user never seen, are one write", async () => {
    const newcomer = { org: "acme", sub: "keyed", grants: ["team:acme/keyed"] };
    const headers = key();
    const body = { content: "from nowhere", access_entity: "team:acme/keyed" };
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => world.api(newcomer).call("POST", "/memories", body, headers)),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(201));
    expect(new Set(answers.map((answer) => answer.body.id)).size).toBe(1);
  });

  test("the order of fields and the case of ids make no other request", async () => {
    const api = world.api(ada);
    const headers = key();
    const first = await api.call("POST", "/memories", '{"content":"ordered","category":"note"}', headers);
    const again = await api.call("POST", "/memories", '{"category":"note","content":"ordered"}', headers);
    expect([again.status, again.body.id]).toEqual([201, first.body.id]);
    const change = key();
    const { id } = first.body;
    for (const one of [id, id.toUpperCase()])
      expect((await api.call("PUT", `/memories/${one}`, { thread: "t" }, change)).body.revision).toBe(2);
  });

  test("the same key for another request is a conflict", async () => {
    const api = world.api(ada);
    const headers = key();
    await api.call("POST", "/memories", { content: "the first" }, headers);
    for (const [method, path, body] of [
      ["POST", "/memories", { content: "the second" }],
      ["POST", "/memories/batch", { memories: [{ content: "the first" }] }],
      ["DELETE", "/memories", { memory_ids: [RANDOM_ID] }],
    ] as const) {
      const { status, body: problem } = await api.call(method, path, body, headers);
      expect({ status, code: problem.code }).toEqual({ status: 409, code: "CONFLICT" });
    }
  });

  test("a write that failed has not used its key", async () => {
    const api = world.api(ada);
    const headers = key();
    expect((await api.call("POST", "/memories", { content: "x", access_entity: "org:acme" }, headers)).status).toBe(
      403,
    );
    expect((await api.call("POST", "/memories", { content: "a better try" }, headers)).status).toBe(201);
  });

  test("keys are each user's own", async () => {
    const headers = key();
    const [hers, his] = await Promise.all(
      [ada, ben].map((person) => world.api(person).call("POST", "/memories", { content: "same key" }, headers)),
    );
    expect([hers?.status, his?.status]).toEqual([201, 201]);
    expect(hers?.body.id).not.toBe(his?.body.id);
  });

  test("is forgotten after 24 hours", async () => {
    const api = world.api(ada);
    const headers = key();
    await api.call("POST", "/memories", { content: "yesterday" }, headers);
    await world.owner`update brain.idempotency_keys set created_at = now() - interval '24 hours 1 second'`;
    expect((await api.call("POST", "/memories", { content: "today" }, headers)).status).toBe(201);
  });

  test("keeps no content: a memory deleted meanwhile is gone for the retry too", async () => {
    const api = world.api(ada);
    const headers = key();
    const body = { content: "soon forgotten" };
    const { body: stored } = await api.call("POST", "/memories", body, headers);
    await api.delete(`/memories/${stored.id}`);
    expect((await api.call("POST", "/memories", body, headers)).status).toBe(404);
    const kept = await world.owner<{ row: string }[]>`select keys::text as row from brain.idempotency_keys as keys`;
    expect(kept.map(({ row }) => row).join()).not.toContain("forgotten");
  });

  test.each(["", "a b", "ü", "x".repeat(257)])("a key of the wrong form is refused: %j", async (bad) => {
    const { status, body } = await world
      .api(ada)
      .call("POST", "/memories", { content: "x" }, { "idempotency-key": encodeURI(bad) === bad ? bad : "a b" });
    expect({ status, at: body.errors?.[0].at }).toEqual({ status: 422, at: "Idempotency-Key" });
  });

  test("the tools have it", async () => {
    const { call } = await world.assistant(ada);
    const args = { text: "from a tool, once", idempotency_key: crypto.randomUUID() };
    const first = await call("add_memories", args);
    expect(await call("add_memories", args)).toEqual(first);
    expect(await call("add_memories", { ...args, text: "another" })).toMatchObject({ problem: { code: "CONFLICT" } });
  });
});
