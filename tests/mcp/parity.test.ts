import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { lean } from "../../src/memories/lean.ts";
import type { Memory } from "../../src/memories/schema.ts";
import { ada, ben, cyd, eve, openWorld, type Person, samely, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

type Hit = Memory & { score: number; matched: string[] };

const ID = "01a2079c-0000-7000-8000-000000000000";

/** A request by either door, and what each calls the same thing. */
interface Case {
  what: string;
  who: Person;
  rest: [method: string, path: string, body?: unknown];
  tool: [name: string, args: Record<string, unknown>];
}

const noScopes = { ...ada, scopes: [] };

const PROBLEMS: Case[] = [
  {
    what: "no scope to store",
    who: noScopes,
    rest: ["POST", "/memories", { content: "x" }],
    tool: ["add_memories", { text: "x" }],
  },
  {
    what: "no scope to search",
    who: noScopes,
    rest: ["POST", "/search", { query: "x" }],
    tool: ["search_memory", { query: "x" }],
  },
  {
    what: "no scope to read",
    who: noScopes,
    rest: ["GET", `/memories/${ID}`],
    tool: ["get_memory", { memory_id: ID }],
  },
  {
    what: "no scope to delete",
    who: noScopes,
    rest: ["DELETE", "/memories", { memory_ids: [ID] }],
    tool: ["delete_memories", { memory_ids: [ID] }],
  },
  {
    what: "a space not granted",
    who: cyd,
    rest: ["POST", "/memories", { content: "x", access_entity: "project:acme/web" }],
    tool: ["add_memories", { text: "x", access_entity: "project:acme/web" }],
  },
  {
    what: "auto without a shared space",
    who: cyd,
    rest: ["POST", "/memories", { content: "x", access_entity: "auto" }],
    tool: ["add_memories", { text: "x", access_entity: "auto" }],
  },
  { what: "a random id read", who: ada, rest: ["GET", `/memories/${ID}`], tool: ["get_memory", { memory_id: ID }] },
  {
    what: "a random id changed",
    who: ada,
    rest: ["PUT", `/memories/${ID}`, { content: "x" }],
    tool: ["update_memory", { memory_id: ID, text: "x" }],
  },
  {
    what: "a move to a space not granted",
    who: ada,
    rest: ["PUT", `/memories/${ID}`, { access_entity: "org:acme" }],
    tool: ["update_memory", { memory_id: ID, access_entity: "org:acme" }],
  },
  {
    what: "another category",
    who: ada,
    rest: ["POST", "/memories", { content: "x", category: "y" }],
    tool: ["add_memories", { text: "x", category: "y" }],
  },
  {
    what: "several faults at once",
    who: ada,
    rest: ["POST", "/memories", { content: "x", category: "y", thread: "", tags: 1, z: 1 }],
    tool: ["add_memories", { text: "x", category: "y", thread: "", tags: 1, z: 1 }],
  },
  {
    what: "an empty query",
    who: ada,
    rest: ["POST", "/search", { query: "" }],
    tool: ["search_memory", { query: "" }],
  },
  {
    what: "a limit of 51",
    who: ada,
    rest: ["POST", "/search", { query: "x", limit: 51 }],
    tool: ["search_memory", { query: "x", limit: 51 }],
  },
  {
    what: "a limit that is text",
    who: ada,
    rest: ["POST", "/search", { query: "x", limit: "5" }],
    tool: ["search_memory", { query: "x", limit: "5" }],
  },
  {
    what: "an unknown filter",
    who: ada,
    rest: ["POST", "/search", { query: "x", filter: { colour: "red" } }],
    tool: ["search_memory", { query: "x", filter: { colour: "red" } }],
  },
  {
    what: "a date that is none in a filter",
    who: ada,
    rest: ["POST", "/search", { query: "x", filter: { from_date: "2026-02-31T00:00:00Z" } }],
    tool: ["search_memory", { query: "x", filter: { from_date: "2026-02-31T00:00:00Z" } }],
  },
  {
    what: "a state that is never found",
    who: ada,
    rest: ["POST", "/search", { query: "x", filter: { state: ["active", "deleted"] } }],
    tool: ["search_memory", { query: "x", filter: { state: ["active", "deleted"] } }],
  },
  {
    what: "a cursor that is none",
    who: ada,
    rest: ["GET", "/memories?cursor=x"],
    tool: ["list_memories", { cursor: "x" }],
  },
  {
    what: "a random id superseded",
    who: ada,
    rest: ["POST", "/memories", { content: "x", supersedes: ID }],
    tool: ["add_memories", { text: "x", supersedes: ID }],
  },
  {
    what: "a stale revision",
    who: ada,
    rest: ["PATCH", `/memories/${ID}`, { content: "x" }],
    tool: ["update_memory", { memory_id: ID, text: "x", if_revision: 2 }],
  },
  {
    what: "no ids to delete",
    who: ada,
    rest: ["DELETE", "/memories", { memory_ids: [] }],
    tool: ["delete_memories", { memory_ids: [] }],
  },
  {
    what: "an id that is none",
    who: ada,
    rest: ["DELETE", "/memories", { memory_ids: ["x"] }],
    tool: ["delete_memories", { memory_ids: ["x"] }],
  },
];

describe("the same problem", () => {
  test.each(PROBLEMS.map((one) => [one.what, one] as const))("%s", async (_what, { who, rest, tool }) => {
    const { body } = await world.api(who).call(...rest);
    const { call } = await world.assistant(who);
    const { problem } = (await call(...tool)) as { problem: typeof body };
    expect(body.status).toBeGreaterThanOrEqual(400);
    expect(samely(problem)).toEqual(samely(body));
  });
});

describe("the same result", () => {
  test("one entity, changed to another", async () => {
    const { call } = await world.assistant(ada);
    const { memories } = (await call("add_memories", { text: "x", entity: "Bun" })) as { memories: { id: string }[] };
    const id = memories[0]?.id ?? "";
    expect((await world.api(ada).get(`/memories/${id}`)).body.entities).toEqual(["Bun"]);
    await call("update_memory", { memory_id: id, entity: "Node" });
    expect((await world.api(ada).put(`/memories/${id}`, { entity: "Deno" })).body).toMatchObject({
      entities: ["Deno"],
      revision: 3,
    });
  });

  test("a memory stored by one door is the same by the other", async () => {
    const fields = {
      category: "decision",
      access_entity: "project:acme/web",
      artifact_type: "api",
      artifact_ref: "POST /mcp",
      entities: ["MCP"],
      thread: "t",
      evidence: ["e"],
      tags: { a: 1, b: "x", c: true },
      code_refs: [{ path: "src/mcp/http.ts", symbol: "answer" }],
      source: "inference",
      metadata: { n: null, list: [1] },
    };
    const { call } = await world.assistant(ada);
    const { body: byRest } = await world.api(ada).post("/memories", { content: "parity", ...fields });
    const { memories } = (await call("add_memories", { text: "parity", ...fields })) as { memories: { id: string }[] };
    const { body: byTool } = await world.api(ada).get(`/memories/${memories[0]?.id}`);
    const own = { id: "", app: "", app_id: "", created_at: "", updated_at: "" };
    expect({ ...byTool, ...own }).toEqual({ ...byRest, ...own });
    expect(await call("get_memory", { memory_id: byRest.id })).toEqual(lean(byRest));
  });

  test("search and lists give the same memories in the same order", async () => {
    for (let index = 0; index < 5; index++)
      await world.api(ben).post("/memories", { content: `lighthouse ${"keeper ".repeat(index)}` });
    const { call } = await world.assistant(ben);
    const { body: found } = await world.api(ben).post("/search", { query: "lighthouse keeper", limit: 3 });
    expect(await call("search_memory", { query: "lighthouse keeper", limit: 3 })).toEqual({
      ...found,
      took_ms: expect.any(Number),
      results: found.results.map(({ score, matched, ...memory }: Hit) => ({ ...lean(memory), score, matched })),
    });
    const { body: page } = await world.api(ben).get("/memories?size=3");
    expect(await call("list_memories", { limit: 3 })).toEqual({
      items: page.items.map(lean),
      total: page.total,
      next_cursor: page.next_cursor,
    });
  });

  test.each([
    ["category=decision&state=active", { category: "decision", state: "active" }],
    ["categories=decision,note&scope=user", { category: ["decision", "note"], scope: "user" }],
    ["tag=env=prod&tag=size", { tag: ["env=prod", "size"] }],
    ["entity=post-gre%20SQL&source=user", { entity: "post-gre SQL", source: "user" }],
    ["artifact_type=api&artifact_ref=POST%20/x", { artifact_type: "api", artifact_ref: "POST /x" }],
    ["from_date=0&to_date=2100-01-01T00:00:00Z", { from_date: "0", to_date: "2100-01-01T00:00:00Z" }],
    ["access_entity=user:fin&states=active,archived", { access_entity: "user:fin", state: ["active", "archived"] }],
  ])("a list with %s", async (query, filter) => {
    const fin = { org: "acme", sub: "fin" };
    const [plain, full] = ["plain", "full"].map((word) => `${word} ${query}`);
    const fields = {
      entities: ["PostgreSQL"],
      artifact_type: "api",
      artifact_ref: "POST /x",
      tags: { env: "prod", size: 1 },
    };
    await world.api(fin).post("/memories", { content: plain });
    await world.api(fin).post("/memories", { content: full, category: "decision", ...fields });
    const { body } = await world.api(fin).get(`/memories?${query}`);
    expect(body.items.length).toBeGreaterThan(0);
    const { call } = await world.assistant(fin);
    expect(await call("list_memories", { filter })).toMatchObject({ items: body.items.map(lean), total: body.total });
  });

  test("who one is", async () => {
    const { call } = await world.assistant(eve);
    const { body } = await world.api(eve).get("/tokens/me");
    expect(await call("whoami")).toEqual({ ...body, expires_at: expect.any(String) });
  });
});
