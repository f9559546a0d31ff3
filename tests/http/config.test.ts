import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { ada, ben, eve, openWorld, type Person, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.owner`delete from brain.settings`;
});

const DEFAULTS = {
  search: { lexical: 1, semantic: 1, graph: 1 },
  retention: { deleted_days: 30, recall_days: 90 },
};
const KEY = "sk-a-secret-of-ours";
const config = (person: Person, method = "GET", body?: unknown, path = "/config") =>
  world.api(person).call(method, path, body);
const secretsOf = async (org: string) =>
  (await world.owner<{ secrets: object }[]>`select secrets from brain.settings where org_id = app.org_key(${org})`)[0]
    ?.secrets;

test("where nothing is set the defaults hold, and are shown", async () => {
  const { status, body } = await config(ada);
  expect([status, body]).toEqual([
    200,
    { settings: DEFAULTS, secrets: [], embedding_space: null, updated_at: null, updated_by: null },
  ]);
});

test("PUT sets all anew, PATCH some, and both say who and when", async () => {
  const { body: put } = await config(ada, "PUT", { search: { lexical: 2 }, retention: { deleted_days: 7 } });
  expect(put).toEqual({
    settings: {
      ...DEFAULTS,
      search: { lexical: 2, semantic: 1, graph: 1 },
      retention: { deleted_days: 7, recall_days: 90 },
    },
    secrets: [],
    embedding_space: null,
    updated_at: expect.stringMatching(/Z$/),
    updated_by: "ada",
  });
  const { body: patched } = await config(ben, "PATCH", { search: { graph: 0.5, lexical: null } });
  expect(patched.settings).toEqual({
    search: { lexical: 1, semantic: 1, graph: 0.5 },
    retention: { deleted_days: 7, recall_days: 90 },
  });
  expect(patched.updated_by).toBe("ben");
  expect((await config(ada)).body).toEqual(patched);
  expect((await config(ada, "PATCH", { search: { graph: null } })).body.settings.search).toEqual(DEFAULTS.search);
  expect((await config(ada, "PUT", { retention: { recall_days: 1 } })).body.settings).toEqual({
    ...DEFAULTS,
    retention: { deleted_days: 30, recall_days: 1 },
  });
  expect((await config(ada, "PUT", {})).body.settings).toEqual(DEFAULTS);
});

test("tells the embedding space in use", async () => {
  await world.owner`
    insert into brain.embedding_spaces (org_id, id, model, dimensions, state)
    values (app.org_key('acme'), 1, 'bge-m3', 1024, 'active'), (app.org_key('acme'), 2, 'other', 8, 'filling')`;
  expect((await config(ada)).body.embedding_space).toEqual({ model: "bge-m3", dimensions: 1024 });
  expect((await config(eve)).body.embedding_space).toBeNull();
  await world.owner`delete from brain.embedding_spaces`;
});

test("a search goes by the weights of its org", async () => {
  const { body } = await world.api(ada).post("/memories", { content: "it grinds slowly", entities: ["Quern"] });
  await world.api(eve).post("/memories", { content: "it grinds slowly", entities: ["Quern"] });
  const found = async (person: Person) => {
    const { body } = await world.api(person).post("/search", { query: "Quern" });
    return body.results.map(({ id, matched }: { id: string; matched: string[] }) => [id, ...matched]);
  };
  expect(await found(ada)).toEqual([[body.id, "lexical", "graph"]]);
  const before = (await world.api(ada).post("/search", { query: "Quern" })).body.results[0].score;
  await config(ada, "PATCH", { search: { graph: 3 } });
  const { results } = (await world.api(ada).post("/search", { query: "Quern" })).body;
  expect(results[0].score).toBeGreaterThan(before);
  await config(ada, "PATCH", { search: { graph: 0 } });
  expect(await found(ada)).toEqual([[body.id, "lexical"]]);
  expect((await found(eve)).flat()).toContain("graph");
});

test("two who set different things at once both have set them", async () => {
  for (let round = 0; round < 5; round++) {
    await world.owner`delete from brain.settings`;
    const answers = await Promise.all([
      config(ada, "PATCH", { search: { lexical: 3 } }),
      config(ben, "PATCH", { search: { graph: 4 } }),
      config(ada, "PATCH", { retention: { deleted_days: 5 } }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    const { body } = await config(ada);
    expect([body.settings.search, body.settings.retention.deleted_days]).toEqual([
      { lexical: 3, semantic: 1, graph: 4 },
      5,
    ]);
  }
});

test("orgs do not touch each other", async () => {
  await config(ada, "PUT", { search: { lexical: 9 }, embeddings: { api_key: KEY } });
  const { body: before } = await config(ada);
  for (const [method, body, path] of [
    ["PUT", { search: { lexical: 1 } }, "/config"],
    ["PATCH", { embeddings: { api_key: null }, search: { graph: 3 } }, "/config"],
    ["POST", undefined, "/config/reset"],
  ] as const)
    expect((await config(eve, method, body, path)).status).toBe(200);
  expect((await config(ada)).body).toEqual(before);
  expect(await secretsOf("acme")).toEqual({ "embeddings.api_key": KEY });
  expect((await config(eve)).body).toMatchObject({ settings: DEFAULTS, secrets: [], updated_by: "eve" });
});

describe("secrets", () => {
  test("are set, shown by name only, kept by what does not name them, and taken away by null", async () => {
    const set = await config(ada, "PATCH", { embeddings: { api_key: KEY } });
    expect(set.body).toMatchObject({ settings: DEFAULTS, secrets: ["embeddings.api_key"] });
    for (const [method, body] of [
      ["PATCH", { search: { lexical: 2 } }],
      ["PATCH", { embeddings: {} }],
      ["PUT", { retention: { deleted_days: 3 } }],
      ["PUT", {}],
    ] as const) {
      const answer = await config(ada, method, body);
      expect([answer.status, answer.body.secrets]).toEqual([200, ["embeddings.api_key"]]);
      expect(await secretsOf("acme")).toEqual({ "embeddings.api_key": KEY });
    }
    expect((await config(ada, "PUT", { embeddings: { api_key: null } })).body.secrets).toEqual([]);
    expect(await secretsOf("acme")).toEqual({});
  });

  test("go with a reset", async () => {
    await config(ada, "PUT", { search: { graph: 0 }, embeddings: { api_key: KEY } });
    const { status, body } = await config(ada, "POST", undefined, "/config/reset");
    expect([status, body]).toEqual([200, expect.objectContaining({ settings: DEFAULTS, secrets: [] })]);
    expect(await secretsOf("acme")).toEqual({});
  });

  test("are in no answer, no log line and no event of the audit", async () => {
    const answers = [
      await config(ada, "PATCH", { embeddings: { api_key: KEY } }),
      await config(ada, "PATCH", { embeddings: { api_key: `${KEY} with a blank` } }),
      await config(ada, "PUT", { embeddings: { api_key: KEY, other: 1 } }),
      await config(ada),
      await world.api(ada).get("/audit?action=settings.changed"),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 422, 422, 200, 200]);
    expect(JSON.stringify(answers) + world.logged.join("")).not.toContain(KEY);
    expect(answers[4]?.body.items[0].changed).toEqual(["embeddings.api_key"]);
  });

  test("cannot be read by the service at all", async () => {
    await config(ada, "PATCH", { embeddings: { api_key: KEY } });
    const { org, sub } = ada;
    const caller = world.database.callerFor(
      { org, sub, jti: "x", scopes: new Set(), grants: [], expires_at: 0 },
      "rest",
      "",
    );
    await expect(caller.read((tx) => tx`select secrets from brain.settings`)).rejects.toMatchObject({ code: "42501" });
  });
});

test.each([
  [{ search: { lexical: -1 } }, "search.lexical"],
  [{ search: { lexical: 11 } }, "search.lexical"],
  [{ search: { lexical: "1" } }, "search.lexical"],
  [{ search: { rrf: 1 } }, "search.rrf"],
  [{ retention: { deleted_days: 0 } }, "retention.deleted_days"],
  [{ retention: { deleted_days: 366 } }, "retention.deleted_days"],
  [{ retention: { recall_days: 3651 } }, "retention.recall_days"],
  [{ retention: { recall_days: 1.5 } }, "retention.recall_days"],
  [{ embeddings: { space: "x" } }, "embeddings.space"],
  [{ embeddings: { api_key: "" } }, "embeddings.api_key"],
  [{ embeddings: { url: "http://169.254.169.254/" } }, "embeddings.url"],
  [{ llm: {} }, "llm"],
  [{ embeddings: [] }, "embeddings"],
])("refused: %j", async (body, at) => {
  for (const method of ["PUT", "PATCH"]) {
    const answer = await config(ada, method, body);
    expect([answer.status, answer.body.code]).toEqual([422, "INVALID_INPUT"]);
    expect(answer.body.errors.map((error: { at: string }) => error.at)).toContain(at);
  }
  expect((await config(ada)).body.updated_at).toBeNull();
});

test("PUT takes no null for a setting, PATCH nothing at all", async () => {
  expect((await config(ada, "PUT", { search: { lexical: null } })).status).toBe(422);
  expect((await config(ada, "PATCH", {})).status).toBe(422);
});
