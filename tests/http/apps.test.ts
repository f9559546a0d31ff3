import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ada, ben, openWorld, otherAda, type Person, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

type Row = { id: string; name: string } & Record<string, unknown>;
const appsOf = async (person: Person, query = ""): Promise<Row[]> =>
  (await world.api(person).get(`/apps${query}`)).body.items;
const appOf = async (person: Person, name = "rest"): Promise<Row> => {
  const app = (await appsOf(person)).find((one) => one.name === name);
  if (!app) throw new Error(`${person.sub} has no app ${name}`);
  return app;
};
const through = (person: Person, name: string) => world.assistant(person, { user_agent: `${name}/1`, toolsets: "all" });
const written = async () => {
  while ((await world.database.writeRecalls()) > 0);
};

test("an app appears with its first write, and nowhere else: there is no POST /apps", async () => {
  const kay = { org: "acme", sub: "kay" };
  expect(await appsOf(kay)).toMatchObject([{ name: "rest" }]); // the very request was her first
  await (await through(kay, "cursor")).call("add_memories", { text: "through the cursor" });
  expect((await appsOf(kay)).map(({ name }) => name)).toEqual(["cursor", "rest"]);
  const { status, headers } = await world.api(kay).post("/apps", { name: "mine" });
  expect([status, headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  expect((await world.api(kay).delete(`/apps/${(await appOf(kay)).id}`)).status).toBe(405);
});

test("tells what came through it and what it was shown", async () => {
  const lee = { org: "acme", sub: "lee", grants: ["project:acme/web"] };
  const { call } = await through(lee, "windsurf");
  const { memories } = (await call("add_memories", {
    memories: ["one", "two", "three"].map((text) => ({ text: `lee's ${text}` })),
  })) as { memories: { id: string }[] };
  const [one, two, three] = memories.map(({ id }) => id);
  await call("get_memory", { memory_id: one });
  await call("get_memory", { memory_id: one });
  await call("get_memory", { memory_id: two });
  await call("get_memory", { memory_id: three });
  await call("delete_memories", { memory_ids: [three] });
  await written();
  const app = await appOf(lee, "windsurf");
  expect(app).toEqual({
    id: expect.any(String),
    name: "windsurf",
    is_active: true,
    created_at: expect.any(String),
    total_memories_created: 2,
    total_memories_accessed: 2,
    first_accessed: expect.any(String),
    last_accessed: expect.any(String),
  });
  const api = world.api(lee);
  expect((await api.get(`/apps/${app.id}`)).body).toEqual(app);
  const { body: created } = await api.get(`/apps/${app.id}/memories?size=1`);
  expect([created.total, created.items[0].id]).toEqual([2, two]);
  const { body: accessed } = await api.get(`/apps/${app.id}/accessed`);
  expect(accessed.total).toBe(2);
  expect(accessed.items.map(({ memory, access_count }: never) => [(memory as Row).id, access_count])).toEqual([
    [one, 2],
    [two, 1],
  ]);
  expect(accessed.items[0].last_accessed).toEqual(expect.any(String));
  expect((await api.get(`/apps/${app.id}/accessed?size=1&page=2`)).body.items[0].memory.id).toBe(two);
});

test("paused and archived ones are there too", async () => {
  const mia = { org: "acme", sub: "mia" };
  const { body } = await world.api(mia).post("/memories", { content: "for the archive" });
  await world.api(mia).post("/memories/actions/archive", { memory_ids: [body.id] });
  expect((await world.api(mia).get(`/apps/${body.app_id}/memories`)).body.items[0].state).toBe("archived");
});

test("filters, sorts, pages", async () => {
  const ned = { org: "acme", sub: "ned" };
  for (const [name, memories] of [
    ["alpha", 1],
    ["beta-2", 3],
    ["beta-3", 2],
  ] as const) {
    const { call } = await through(ned, name);
    for (let index = 0; index < memories; index++) await call("add_memories", { text: `${name} ${index}` });
  }
  const names = async (query: string) => (await appsOf(ned, query)).map(({ name }) => name);
  expect(await names("?name=BETA")).toEqual(["beta-2", "beta-3"]);
  expect(await names("?name=%25")).toEqual([]);
  expect(await names("?sort_by=memories&sort_direction=desc")).toEqual(["beta-2", "beta-3", "alpha"]);
  expect(await names("?sort_direction=desc")).toEqual(["beta-3", "beta-2", "alpha"]);
  expect(await names("?size=1&page=2")).toEqual(["beta-2"]);
  await world.api(ned).call("PUT", `/apps/${(await appOf(ned, "alpha")).id}?is_active=false`);
  expect(await names("?is_active=false")).toEqual(["alpha"]);
  expect(await names("?is_active=true&size=100")).toEqual(["beta-2", "beta-3"]);
});

describe("one's own alone", () => {
  test.each(["", "/memories", "/accessed"])("GET /apps/{id}%s of another is as of nobody", async (path) => {
    for (const other of [ben, otherAda]) {
      const { id } = await appOf(other);
      const { status, body } = await world.api(ada).get(`/apps/${id}${path}`);
      expect([status, body.detail]).toEqual([404, "There is no such app."]);
    }
  });

  test("another's cannot be paused", async () => {
    const { id } = await appOf(ben);
    expect((await world.api(ada).put(`/apps/${id}`, { is_active: false })).status).toBe(404);
    expect((await appOf(ben)).is_active).toBe(true);
  });

  test("a team-mate's memories name an app that the team-mate alone has", async () => {
    const { body } = await world.api(ben).post("/memories", { content: "ben's", access_entity: "project:acme/web" });
    expect((await world.api(ada).get(`/memories/${body.id}`)).body.app).toBe("rest");
    expect((await appsOf(ada)).map(({ id }) => id)).not.toContain(body.app_id);
  });
});

describe("pausing", () => {
  const pause = async (person: Person, name: string, is_active = false) =>
    world.api(person).put(`/apps/${(await appOf(person, name)).id}`, { is_active });

  test("takes is_active from the query or from the body, from one of them", async () => {
    const { id } = await appOf(ada);
    const put = (query: string, body?: unknown) => world.api(ada).call("PUT", `/apps/${id}${query}`, body);
    expect((await put("?is_active=false")).body.is_active).toBe(false);
    expect((await put("", { is_active: true })).body.is_active).toBe(true);
    for (const refused of [
      await put(""),
      await put("?is_active=true", { is_active: true }),
      await put("?is_active=yes"),
      await put("", { is_active: "true" }),
      await put("", { is_active: true, name: "other" }),
    ])
      expect([refused.status, refused.body.code]).toEqual([422, "INVALID_INPUT"]);
  });

  // Each route: tests/http/routes.test.ts. Here over MCP.
  test("refuses what its tools would write, and lets them read on", async () => {
    const ola = { org: "acme", sub: "ola" };
    const { call } = await through(ola, "zed");
    const { memories } = (await call("add_memories", { text: "ola's" })) as { memories: { id: string }[] };
    const memory_id = memories[0]?.id;
    expect((await pause(ola, "zed")).body).toMatchObject({ name: "zed", is_active: false });
    for (const [name, args] of [
      ["add_memories", { text: "more" }],
      ["add_memories", { text: "ola's" }],
      ["update_memory", { memory_id, text: "other" }],
      ["delete_memories", { memory_ids: [memory_id] }],
      ["delete_all_memories", { confirm: "1" }],
    ] as const)
      expect(await call(name, args)).toMatchObject({ problem: { code: "APP_PAUSED", status: 403 } });
    expect(await call("get_memory", { memory_id })).toMatchObject({ content: "ola's", revision: 1 });
    expect(await call("search_memory", { query: "ola" })).toMatchObject({ total_count: 1 });
    expect((await world.api(ola).put(`/memories/${memory_id}`, { content: "through rest" })).status).toBe(200);
    expect((await pause(ola, "zed", true)).body.is_active).toBe(true);
    expect(await call("update_memory", { memory_id, text: "again" })).toMatchObject({ revision: 3 });
  });

  test("is one's own: the same client of another goes on", async () => {
    const [pam, quy] = [
      { org: "acme", sub: "pam" },
      { org: "acme", sub: "quy" },
    ];
    for (const person of [pam, quy]) await (await through(person, "zed")).call("add_memories", { text: "first" });
    await pause(pam, "zed");
    expect(await (await through(quy, "zed")).call("add_memories", { text: "second" })).toMatchObject({
      memories: [{}],
    });
  });

  test("can be ended through the very app that is paused, and is in the audit", async () => {
    const ray = { org: "acme", sub: "ray" };
    await world.api(ray).post("/memories", { content: "first" });
    const { id } = await appOf(ray);
    expect((await pause(ray, "rest")).status).toBe(200);
    expect((await world.api(ray).post("/memories", { content: "second" })).body).toMatchObject({
      code: "APP_PAUSED",
      hint: expect.stringContaining("PUT /api/v1/apps/{id}"),
    });
    expect((await pause(ray, "rest", true)).status).toBe(200);
    expect((await world.api(ray).post("/memories", { content: "second" })).status).toBe(201);
    const { body } = await world.api(ray).get(`/audit?target=${id}`);
    expect(body.items.map(({ action }: { action: string }) => action)).toEqual(["app.resumed", "app.paused"]);
  });
});
