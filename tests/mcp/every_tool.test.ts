import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { TOOL_NEEDS } from "../../src/auth/scopes.ts";
import { loadConfig } from "../../src/config.ts";
import { createLog } from "../../src/log.ts";
import { type Service, startService } from "../../src/main.ts";
import { TOOLS } from "../../src/mcp/tools.ts";
import { connectLegacy } from "../support/clients.ts";
import { openWorld, type Person, SETTINGS, tokenFor, type World } from "../support/world.ts";

/** The SDK's own client drives every tool over both doors: as it should be, refused, cancelled, and many at once. */
let world: World;
let service: Service;
beforeAll(async () => {
  world = await openWorld();
  service = await startService(
    loadConfig({ PORT: "0", RATE_LIMIT_RPM: "100000", RATE_LIMIT_BURST: "100000" }),
    world.urls.service_url,
    SETTINGS.jwt_secret,
    createLog("silent"),
  );
  await world.api(gus).post("/memories", { content: "He lives there.", entities: ["pharos", "keeper"] });
});
afterAll(async () => {
  await service.stop();
  await world.close();
});

const gus: Person = { org: "tools", sub: "gus", grants: ["project:tools/a"] };
const NOBODYS = "01a2079c-0000-7000-8000-000000000000";

type Args = Record<string, unknown>;

const connectOver = {
  async http(person: Person, token?: string) {
    const client = new Client({ name: "claude-code", version: "1" });
    const requestInit = { headers: { authorization: `Bearer ${token ?? (await tokenFor(person))}` } };
    await client.connect(
      new StreamableHTTPClientTransport(new URL(`${service.url}/mcp?toolsets=all`), { requestInit }),
    );
    return client;
  },
  sse: async (person: Person, token?: string) =>
    connectLegacy(
      service.url,
      { authorization: `Bearer ${token ?? (await tokenFor(person))}` },
      "/mcp/cursor/sse/me?toolsets=all",
    ),
};

/** The structured answer of a tool, or the code and the places of the problem it gave. */
async function call(client: Client, name: string, args: Args) {
  const { isError, structuredContent, content } = await client.callTool({ name, arguments: args });
  const [first] = content as { text: string }[];
  if (!isError) return structuredContent as Args;
  const { code, errors } = JSON.parse(first?.text ?? "");
  return [code, ...(errors ?? []).map(({ at }: { at: string }) => at)] as unknown as Args;
}

/** As each tool is called when all is well, about a memory of gus's, and what of its answer says so. */
const WELL: Record<string, (id: string) => [args: Args, answer: object]> = {
  search_memory: () => [{ query: "lighthouse" }, { results: expect.any(Array), degraded: [] }],
  add_memories: () => [{ text: "another lighthouse" }, { memories: [{ access_entity: "user:gus" }] }],
  list_memories: () => [{ limit: 1, filter: { category: "note" } }, { items: [{ owner: "gus" }] }],
  get_memory: (id) => [
    { memory_id: id, history: true, links: true },
    { id, history: [{ revision: 1 }], links: [] },
  ],
  update_memory: (id) => [{ memory_id: id, category: "note" }, { id }],
  delete_memories: () => [{ memory_ids: [NOBODYS] }, { deleted: 0, skipped: 1 }],
  graph_explore: (id) => [
    { question: "related", memory_id: id },
    { question: "related", memory_id: id, items: expect.any(Array) },
  ],
  graph_related_memories: (id) => [
    { memory_id: id, via: "tag" },
    { memory_id: id, items: [], total: 0 },
  ],
  graph_subgraph: (id) => [
    { memory_id: id, depth: 1, related_limit: 0 },
    { nodes: [{ id, kind: "memory" }], edges: [] },
  ],
  graph_similar_memories: (id) => [
    { memory_id: id, min_score: 1 },
    { memory_id: id, method: "terms" },
  ],
  graph_aggregate: () => [
    { group_by: "app", limit: 1 },
    { dimension: "app", items: expect.any(Array) },
  ],
  graph_tag_cooccurrence: () => [
    { sample_size: 0, min_count: 1, limit: 200 },
    { items: [], total: 0 },
  ],
  graph_related_tags: () => [{ tag_key: "none" }, { tag: "none", items: [], total: 0 }],
  graph_biography_timeline: () => [
    { entity_name: "nobody", event_types: "work,travel", start_year: 1990, end_year: 2030 },
    { items: [], total: 0, next_cursor: null },
  ],
  delete_all_memories: () => [
    { confirm: "0", access_entity: "team:none" },
    { deleted: 0, skipped: 0 },
  ],
  add_memories_status: () => [{}, { status: "done" }],
  get_embedder_info: () => [{}, { is_ready: false }],
  graph_path_between_entities: () => [
    { entity_a: "Pharos", entity_b: "KEEPER", max_hops: 2 },
    { hops: 1, entities: ["pharos", "keeper"], steps: [{ memory_count: 1 }] },
  ],
  graph_entity_network: () => [
    { entity_name: "Pharos", min_count: 1, limit: 5 },
    { name: "pharos", items: [{ name: "keeper", memory_count: 1 }], total: 1 },
  ],
  graph_entity_relations: () => [
    { entity_name: "keeper", relation_types: "uses,calls", direction: "both", limit: 5 },
    { name: "keeper", items: [], total: 0, next_cursor: null },
  ],
  graph_normalize_entities: () => [
    { canonical: "pharos", variants: "keeper" },
    { merge: { dry_run: true, merges: [{ canonical: "pharos", variants: [{ name: "keeper", memory_count: 1 }] }] } },
  ],
  graph_normalize_entities_semantic: () => [{ threshold: 0.5 }, { duplicates: { items: [], threshold: 0.5 } }],
  whoami: () => [{}, { user: "gus", org: "tools" }],
};

/** What each refuses, beside what the token lacks. */
const REFUSED: [tool: string, args: Args, problem: string[]][] = [
  ["search_memory", {}, ["INVALID_INPUT", "query"]],
  ["search_memory", { query: "x", filter: { from_date: "soon" } }, ["INVALID_INPUT", "filter.from_date"]],
  ["add_memories", { text: "x", category: "gossip" }, ["INVALID_INPUT", "category"]],
  ["add_memories", { text: "x", access_entity: "team:others" }, ["FORBIDDEN_ACCESS_ENTITY"]],
  ["add_memories", { text: "x", supersedes: NOBODYS }, ["NOT_FOUND"]],
  ["list_memories", { cursor: "x" }, ["INVALID_INPUT", "cursor"]],
  ["list_memories", { filter: { state: "deleted" } }, ["INVALID_INPUT", "filter.state"]],
  ["get_memory", { memory_id: NOBODYS }, ["NOT_FOUND"]],
  ["get_memory", { memory_id: "x" }, ["INVALID_INPUT", "memory_id"]],
  ["update_memory", { memory_id: NOBODYS, text: "x" }, ["NOT_FOUND"]],
  ["update_memory", { memory_id: NOBODYS }, ["INVALID_INPUT", ""]],
  ["delete_memories", { memory_ids: [] }, ["INVALID_INPUT", "memory_ids"]],
  ["graph_explore", {}, ["INVALID_INPUT", "question"]],
  ["graph_explore", { question: "related" }, ["INVALID_INPUT", "memory_id"]],
  ["graph_explore", { question: "path", entity_a: "x" }, ["INVALID_INPUT", "entity_b"]],
  ["graph_explore", { question: "timeline", memory_id: NOBODYS }, ["INVALID_INPUT", "memory_id"]],
  ["graph_explore", { question: "subgraph", memory_id: NOBODYS }, ["NOT_FOUND"]],
  ["graph_explore", { question: "network", entity_name: "nobody" }, ["NOT_FOUND"]],
  ["graph_related_memories", { memory_id: NOBODYS }, ["NOT_FOUND"]],
  ["graph_related_memories", { memory_id: NOBODYS, via: "app" }, ["INVALID_INPUT", "via"]],
  ["graph_subgraph", { memory_id: NOBODYS, depth: 3 }, ["INVALID_INPUT", "depth"]],
  ["graph_similar_memories", { memory_id: NOBODYS, min_score: 2 }, ["INVALID_INPUT", "min_score"]],
  ["graph_aggregate", { group_by: "owner" }, ["INVALID_INPUT", "group_by"]],
  ["graph_tag_cooccurrence", { sample_size: 11 }, ["INVALID_INPUT", "sample_size"]],
  ["graph_related_tags", {}, ["INVALID_INPUT", "tag_key"]],
  ["graph_biography_timeline", { event_types: "party" }, ["INVALID_INPUT", "event_types"]],
  ["delete_all_memories", { confirm: "999999999" }, ["CONFLICT"]],
  ["delete_all_memories", {}, ["INVALID_INPUT", "confirm"]],
  ["add_memories_status", { limit: 0 }, ["INVALID_INPUT", "limit"]],
  ["graph_path_between_entities", { entity_a: "pharos" }, ["INVALID_INPUT", "entity_b"]],
  ["graph_path_between_entities", { entity_a: "pharos", entity_b: "nothing" }, ["NOT_FOUND"]],
  ["graph_path_between_entities", { entity_a: "a", entity_b: "b", max_hops: 7 }, ["INVALID_INPUT", "max_hops"]],
  ["graph_entity_network", { entity_name: "nothing" }, ["NOT_FOUND"]],
  ["graph_entity_network", { entity_name: "x", limit: 101 }, ["INVALID_INPUT", "limit"]],
  ["graph_entity_relations", { entity_name: "nothing" }, ["NOT_FOUND"]],
  [
    "graph_entity_relations",
    { entity_name: "keeper", relation_types: ["uses"], category: "work" },
    ["INVALID_INPUT", "category"],
  ],
  ["graph_normalize_entities", { canonical: "pharos" }, ["INVALID_INPUT", "variants"]],
  ["graph_normalize_entities", { canonical: "pharos", variants: ["nothing"] }, ["NOT_FOUND"]],
  ["graph_normalize_entities_semantic", { mode: "guess" }, ["INVALID_INPUT", "mode"]],
  [
    "graph_normalize_entities_semantic",
    { mode: "preview", canonical: "keeper", variants: ["Keeper"] },
    ["INVALID_INPUT", "variants.0"],
  ],
  ["get_embedder_info", { model: "x" }, ["INVALID_INPUT", "model"]],
  ["whoami", { user: "x" }, ["INVALID_INPUT", "user"]],
];

/** Those that ask the database for memories, so that there is something to cancel. */
const WAITS = ["search_memory", "add_memories", "list_memories", "get_memory", "update_memory", "delete_memories"];

test("every tool has its cases here", () => {
  const names = TOOLS.map(({ name }) => name).sort();
  expect(Object.keys(WELL).sort()).toEqual(names);
  expect([...new Set(REFUSED.map(([tool]) => tool))].sort()).toEqual(names);
});

describe.each(["http", "sse"] as const)("over %s", (door) => {
  let client: Client;
  let id: string;
  beforeAll(async () => {
    client = await connectOver[door](gus);
    const { body } = await world.api(gus).post("/memories", { content: `a lighthouse over ${door}`, category: "note" });
    id = body.id;
    await client.listTools(); // from now on the client holds answers against their output schemas
  });
  afterAll(() => client.close());

  test.each(Object.keys(WELL))("%s", async (tool) => {
    const [args, answer] = WELL[tool]?.(id) ?? [{}, {}];
    expect(await call(client, tool, args)).toMatchObject(answer);
  });

  test.each(REFUSED)("%s refuses %j", async (tool, args, problem) => {
    expect<unknown>(await call(client, tool, args)).toEqual(problem);
  });

  test("what depends on what is stored", async () => {
    const [twin] = (await world.api(gus).post("/memories/batch", { memories: [{ content: `twin over ${door}` }] })).body
      .items;
    expect<unknown>(await call(client, "update_memory", { memory_id: id, text: twin.content })).toEqual(["CONFLICT"]);
    expect<unknown>(await call(client, "update_memory", { memory_id: id, text: "x", if_revision: 9 })).toEqual([
      "STALE_REVISION",
    ]);
    const once = { text: `once over ${door}`, idempotency_key: `key-${door}` };
    const first = await call(client, "add_memories", once);
    expect(await call(client, "add_memories", once)).toEqual(first);
    expect<unknown>(await call(client, "add_memories", { ...once, text: "other" })).toEqual(["CONFLICT"]);
    const two = await connectOver[door]({ ...gus, grants: ["project:tools/a", "project:tools/b"] });
    expect<unknown>(await call(two, "add_memories", { text: "x", access_entity: "auto" })).toEqual([
      "ACCESS_ENTITY_AMBIGUOUS",
    ]);
    await two.close();
  });

  test("a paused app stores nothing", async () => {
    const hal = { ...gus, sub: `hal-${door}` };
    const of_hal = await connectOver[door](hal);
    await call(of_hal, "add_memories", { text: "before" });
    await world.owner`update brain.apps set is_active = false where org_id = app.org_key(${hal.org})
      and owner_id = (select id from brain.users where org_id = app.org_key(${hal.org}) and sub = ${hal.sub})`;
    expect<unknown>(await call(of_hal, "add_memories", { text: "after" })).toEqual(["APP_PAUSED"]);
    await of_hal.close();
  });

  test("without their scopes none is listed that needs one, and each is refused", async () => {
    const bare = await connectOver[door]({ ...gus, scopes: [] });
    expect((await bare.listTools()).tools.map(({ name }) => name)).toEqual(["whoami"]);
    for (const [tool, needs] of Object.entries(TOOL_NEEDS))
      if (needs.length > 0) expect<unknown>(await call(bare, tool, { nonsense: 1 })).toEqual(["INSUFFICIENT_SCOPE"]);
    await bare.close();
  });

  test("a token that is revoked meanwhile is refused at the next call, in plain HTTP", async () => {
    const token = await tokenFor(gus);
    const revoked = await connectOver[door](gus, token);
    expect(await call(revoked, "whoami", {})).toMatchObject({ user: "gus" });
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    expect((await world.raw("/api/v1/tokens/revoke", { method: "POST", headers, body: "{}" })).status).toBe(204);
    await expect(call(revoked, "list_memories", {})).rejects.toThrow("401");
    await revoked.close();
  });

  test.each(WAITS)("%s cancelled: the client hears no more of it, and the next call is answered", async (tool) => {
    const [args] = WELL[tool]?.(id) ?? [{}];
    const leaving = await connectOver[door](gus);
    const cancel = new AbortController();
    await world.owner.begin(async (tx) => {
      await tx`lock table brain.memories in access exclusive mode`;
      const cancelled = leaving.callTool({ name: tool, arguments: args }, undefined, { signal: cancel.signal }).then(
        () => "answered",
        () => "cancelled",
      );
      while ((await waiting()) === 0) await Bun.sleep(5);
      // Without sessions a notification would find no call: there a call ends with its client.
      if (door === "http") await leaving.close();
      else cancel.abort("enough");
      expect(await cancelled).toBe("cancelled");
      // A read ends with it; a write that has begun is not torn apart.
      const is_read = TOOLS.find(({ name }) => name === tool)?.needs.includes("memories:read");
      while (is_read && (await waiting()) > 0) await Bun.sleep(5);
    });
    while ((await waiting()) > 0) await Bun.sleep(5);
    expect(await call(client, "whoami", {})).toMatchObject({ user: "gus" });
    await leaving.close();
  });

  test("a hundred calls at once are answered, each with its own", async () => {
    const names = Array.from({ length: 100 }, (_, index) => `keeper ${door} ${index}`);
    const stored = await Promise.all(names.map((text) => call(client, "add_memories", { text })));
    const ids = stored.map(({ memories }) => (memories as { id: string }[])[0]?.id);
    const read = await Promise.all(ids.map((memory_id) => call(client, "get_memory", { memory_id })));
    expect(read.map(({ content }) => content)).toEqual(names);
    expect(await call(client, "delete_memories", { memory_ids: ids })).toEqual({ deleted: 100, skipped: 0 });
  }, 20_000);
});

/** Statements that wait for a lock. */
async function waiting(): Promise<number> {
  const [{ count } = { count: -1 }] = await world.owner<{ count: number }[]>`
    select count(*)::int as count from pg_locks
    join pg_database on pg_database.oid = database and datname = current_database()
    where not granted`;
  return count;
}
