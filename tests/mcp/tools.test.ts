import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { SCOPES, TOOL_NEEDS } from "../../src/auth/scopes.ts";
import { ada, ben, cyd, openWorld, tokenFor, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const bytes = (value: unknown) => Buffer.byteLength(JSON.stringify(value));

test("the handshake names the server and says what it is for", async () => {
  const { client } = await world.assistant(ada);
  expect(client.getServerVersion()).toMatchObject({ name: "coding-brain", title: "Coding Brain" });
  expect(client.getServerCapabilities()).toEqual({
    completions: {},
    logging: {},
    prompts: {},
    resources: {},
    tools: {},
  });
  expect(client.getInstructions()).toContain("Search before you decide");
});

test("the tools, their annotations and arguments", async () => {
  const { client } = await world.assistant(ada);
  const { tools } = await client.listTools();
  const told = tools.map(({ name, annotations, inputSchema }) => {
    const { title: _, ...hints } = annotations ?? {};
    const marks = Object.entries(hints)
      .filter(([, is_so]) => is_so)
      .map(([hint]) => hint.replace("Hint", ""));
    return `${name} [${marks.join(" ")}] ${Object.keys(inputSchema.properties ?? {}).join(" ")}`;
  });
  expect(told).toMatchInlineSnapshot(`
    [
      "search_memory [readOnly idempotent] query limit filter context detail max_tokens explain cursor mode",
      "add_memories [] text memories category access_entity artifact_type artifact_ref entities entity thread evidence tags code_refs source metadata supersedes idempotency_key",
      "list_memories [readOnly idempotent] filter limit cursor max_tokens",
      "get_memory [readOnly idempotent] memory_id history links",
      "update_memory [destructive idempotent] memory_id text category access_entity artifact_type artifact_ref entities entity thread evidence tags code_refs source metadata supersedes clear if_revision idempotency_key",
      "delete_memories [destructive idempotent] memory_ids idempotency_key",
      "graph_explore [readOnly idempotent] question memory_id entity_name entity_a entity_b via limit",
      "whoami [readOnly idempotent] ",
    ]
  `);
});

test("every tool has a title, a description of two sentences, four annotations and closed schemas", async () => {
  const { client } = await world.assistant({ ...ada, scopes: SCOPES }, { toolsets: "all" });
  for (const tool of (await client.listTools()).tools) {
    expect(tool.title).toBeTruthy();
    expect(tool.description?.match(/[.] (?=[A-Z])|[.]$/g)?.length).toBe(2);
    expect(Object.values(tool.annotations ?? {}).filter((hint) => typeof hint === "boolean").length).toBe(4);
    expect(tool.inputSchema).toMatchObject({ type: "object", additionalProperties: false });
    expect(tool.outputSchema?.type).toBe("object");
  }
});

test("the definitions stay within their budget", async () => {
  const { client } = await world.assistant(ada);
  const { tools } = await client.listTools();
  const output = tools.reduce((sum, tool) => sum + bytes(tool.outputSchema), 0);
  console.log(`tools/list: ${bytes(tools) - output} bytes of input, ${output} of output`);
  expect(bytes(tools) - output).toBeLessThanOrEqual(10_000);
  expect(output).toBeLessThanOrEqual(6_000);
  expect(tools.length).toBeLessThanOrEqual(8);
});

test("the table of scopes and the registered tools are the same list", async () => {
  const { client } = await world.assistant({ ...ada, scopes: SCOPES }, { toolsets: "all" });
  const { tools } = await client.listTools();
  expect(tools.map((tool) => tool.name).sort()).toEqual(Object.keys(TOOL_NEEDS).sort());
});

test.each(Object.entries(TOOL_NEEDS).flatMap(([name, needs]) => needs.map((scope) => [name, scope] as const)))(
  "%s without %s is not listed, and refused when called",
  async (name, needed) => {
    const scopes = SCOPES.filter((scope) => scope !== needed);
    const { client, call } = await world.assistant({ ...ada, scopes }, { toolsets: "all" });
    expect((await client.listTools()).tools.map((tool) => tool.name)).not.toContain(name);
    expect(await call(name, { nonsense: 1 })).toMatchObject({
      problem: { status: 403, code: "INSUFFICIENT_SCOPE", detail: expect.stringContaining(needed) },
    });
  },
);

describe("toolsets", () => {
  const listed = async (toolsets: string) => {
    const { client } = await world.assistant({ ...ada, scopes: SCOPES }, { toolsets });
    return (await client.listTools()).tools.map((tool) => tool.name);
  };

  test("beside the default set there is what the address asks for", async () => {
    const usual = await listed("");
    expect(usual).not.toContain("delete_all_memories");
    expect(await listed("admin")).toEqual([
      ...usual,
      "delete_all_memories",
      "add_memories_status",
      "get_embedder_info",
    ]);
    expect(await listed("graph,admin")).toContain("delete_all_memories");
    expect((await listed("all")).sort()).toEqual(Object.keys(TOOL_NEEDS).sort());
  });

  test("a tool of a set not asked for is not there, and the refusal says how to have it", async () => {
    const { client } = await world.assistant({ ...ada, scopes: SCOPES });
    const refused = client.callTool({ name: "delete_all_memories", arguments: { confirm: "0" } });
    await expect(refused).rejects.toMatchObject({
      code: -32602,
      data: { code: "NOT_FOUND", hint: "Add ?toolsets=admin to the address to have it." },
    });
  });

  test.each(["everything", "graph,x", ","])("%p is refused", async (toolsets) => {
    const { status, body } = await world.raw(`/mcp?toolsets=${toolsets}`, {
      method: "POST",
      headers: { authorization: `Bearer ${await tokenFor(ada)}`, "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" }),
    });
    expect([status, body.error.data.errors]).toEqual([
      422,
      [{ at: "toolsets", message: "must be all, or some of graph, entities, admin" }],
    ]);
  });
});

test("all is deleted only by its right number, one space or everything, and nobody else's", async () => {
  const someone = { ...ada, sub: "kim", grants: ["team:wipe"] };
  const { call } = await world.assistant(someone, { toolsets: "admin" });
  const mate = world.api({ ...ben, grants: ["team:wipe"] });
  await call("add_memories", { memories: [{ text: "wipe a" }, { text: "wipe b" }] });
  await mate.post("/memories", { content: "wipe c", access_entity: "team:wipe" });
  await mate.post("/memories", { content: "wipe of ben's" });
  expect(await call("delete_all_memories", { confirm: "2" })).toMatchObject({
    problem: { status: 409, code: "CONFLICT", hint: 'Look at what they are; then confirm with "3".' },
  });
  expect(await call("delete_all_memories", { confirm: "0", access_entity: "user:ben" })).toEqual({
    deleted: 0,
    skipped: 0,
  });
  expect(await call("delete_all_memories", { confirm: "2", access_entity: "user:kim" })).toEqual({
    deleted: 2,
    skipped: 0,
  });
  expect(await call("delete_all_memories", { confirm: "1" })).toEqual({ deleted: 1, skipped: 0 });
  expect(
    (await mate.get("/memories?search_query=wipe")).body.items.map((item: { content: string }) => item.content),
  ).toEqual(["wipe of ben's"]);
});

test("store, find, read, change, list, delete", async () => {
  const { call } = await world.assistant(ada);
  const stored = (await call("add_memories", {
    text: "Retry idempotent calls only, with jitter.",
    category: "convention",
    tags: ["http"],
    thread: null,
  })) as { memories: { id: string }[] };
  expect<object>(stored).toEqual({
    memories: [{ id: expect.any(String), access_entity: "user:ada", created_at: expect.any(String) }],
  });
  const memory_id = stored.memories[0]?.id ?? "";

  const whole = {
    id: memory_id,
    content: "Retry idempotent calls only, with jitter.",
    category: "convention",
    access_entity: "user:ada",
    state: "active",
    revision: 1,
    owner: "ada",
    app: "claude-code",
    created_at: expect.any(String),
    updated_at: expect.any(String),
    tags: { http: true },
  };
  expect(await call("get_memory", { memory_id })).toEqual(whole);
  expect(await call("search_memory", { query: "retries with jitter" })).toEqual({
    results: [{ ...whole, score: expect.any(Number), matched: ["lexical"] }],
    total_count: 1,
    took_ms: expect.any(Number),
    degraded: [],
  });
  expect(await call("list_memories", { limit: 1 })).toEqual({ items: [whole], total: 1 });

  expect(await call("update_memory", { memory_id, text: "Retry GET only.", clear: ["tags"] })).toEqual({
    id: memory_id,
    revision: 2,
    access_entity: "user:ada",
    updated_at: expect.any(String),
  });
  const { tags: _, ...untagged } = whole;
  expect(await call("get_memory", { memory_id })).toEqual({ ...untagged, content: "Retry GET only.", revision: 2 });

  expect(await call("delete_memories", { memory_ids: [memory_id] })).toEqual({ deleted: 1, skipped: 0 });
  expect(await call("get_memory", { memory_id })).toMatchObject({ problem: { status: 404, code: "NOT_FOUND" } });
});

test("links lead to what it replaces, what replaces it and its neighbours in the thread; never to what one may not see", async () => {
  const { call } = await world.assistant(ada);
  const add = async (text: string, more: object = {}) => {
    const { memories } = (await call("add_memories", { text, thread: "pr 7", ...more })) as {
      memories: { id: string }[];
    };
    return memories[0]?.id ?? "";
  };
  const ids: string[] = [];
  for (const text of ["one", "two", "three", "four", "five"]) ids.push(await add(text));
  const elsewhere = await add("in the project", { access_entity: "project:acme/web" });
  await add("another thread", { thread: "pr 8" });
  const newer = await add("three, better", { supersedes: ids[2], thread: "pr 9" });
  await (await world.assistant(ben)).call("add_memories", { text: "ben's", thread: "pr 7" });

  const told = async (memory_id: string | undefined) => {
    const { links } = (await call("get_memory", { memory_id, links: true })) as { links: Record<string, string>[] };
    return links.map(({ relation, preview }) => `${relation} ${preview}`);
  };
  expect(await told(ids[2])).toEqual([
    "superseded_by three, better",
    "earlier_in_thread two",
    "earlier_in_thread one",
    "later_in_thread four",
    "later_in_thread five",
  ]);
  expect(await told(newer)).toEqual(["supersedes three"]);
  expect(await told(elsewhere)).toEqual([]);
  expect(await call("get_memory", { memory_id: newer })).not.toHaveProperty("links");
  await call("delete_memories", { memory_ids: [ids[1], newer] });
  expect(await told(ids[2])).not.toContain("earlier_in_thread two");
  expect(await told(ids[2])).not.toContain("superseded_by three, better");
});

test("get_embedder_info says that there is none", async () => {
  const { call } = await world.assistant({ ...ada, scopes: ["admin:read"] }, { toolsets: "admin" });
  expect(await call("get_embedder_info")).toEqual({ is_ready: false, ways: ["lexical", "thread", "graph"] });
});

test("several at once, in order, all or none", async () => {
  const { call } = await world.assistant(cyd);
  const memories = Array.from({ length: 20 }, (_, index) => ({ text: `step ${index}` }));
  const stored = (await call("add_memories", { memories })) as { memories: unknown[] };
  expect(stored.memories.length).toBe(20);
  expect(await call("add_memories", { memories: [{ text: "fine" }, { text: "  " }] })).toMatchObject({
    problem: { code: "INVALID_INPUT", errors: [{ at: "memories.1.text" }] },
  });
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const page = (await call("list_memories", { limit: 8, cursor })) as {
      items: { content: string }[];
      next_cursor?: string;
    };
    seen.push(...page.items.map((item) => item.content));
    cursor = page.next_cursor;
  } while (cursor);
  expect(seen).toEqual(memories.map((memory) => memory.text).reverse());
});

test("a list fits into the tokens it is given, says what it left out, and goes on from there", async () => {
  const nia = { org: "acme", sub: "nia" };
  const { client, call } = await world.assistant(nia);
  const long = "x".repeat(60_000);
  const texts = ["a", "b ".repeat(400), long, "d", "e"];
  for (const text of texts)
    await call("add_memories", { text, ...(text === long && { evidence: [long.slice(0, 2000)] }) });
  const seen: { content: string; is_preview?: boolean }[] = [];
  let cursor: string | undefined;
  let left_out = 0;
  do {
    const args = { max_tokens: 500, ...(cursor && { cursor }) };
    const { structuredContent, content } = await client.callTool({ name: "list_memories", arguments: args });
    const page = structuredContent as { items: typeof seen; left_out: number; next_cursor?: string };
    const [{ text } = { text: "" }] = content as { text: string }[];
    expect(JSON.stringify(structuredContent).length + text.length).toBeLessThanOrEqual(2000);
    expect(text.includes("left out")).toBe(page.left_out > 0);
    seen.push(...page.items);
    left_out += page.left_out;
    cursor = page.next_cursor;
  } while (cursor);
  expect(seen.map(({ content, is_preview }) => (is_preview ? content.length : content))).toEqual([
    "e",
    "d",
    161,
    "b ".repeat(400).trim(),
    "a",
  ]);
  expect(left_out).toBeGreaterThan(0);
  const whole = (await call("list_memories")) as { items: object[] };
  expect([whole.items.length, "left_out" in whole]).toEqual([5, false]);
});

test.each([
  ["neither text nor memories", {}, "text"],
  ["both", { text: "a", memories: [{ text: "b" }] }, "text"],
  ["a field beside memories", { memories: [{ text: "b" }], category: "note" }, "category"],
  ["21 memories", { memories: Array(21).fill({ text: "x" }) }, "memories"],
  ["the name REST uses", { content: "x" }, "content"],
])("add_memories refuses %s", async (_what, args, at) => {
  const { call } = await world.assistant(ada);
  expect(await call("add_memories", args)).toMatchObject({ problem: { code: "INVALID_INPUT", errors: [{ at }] } });
});

test("update_memory refuses to change nothing, and to set and clear one field", async () => {
  const { call } = await world.assistant(ada);
  const memory_id = "01a2079c-0000-7000-8000-000000000000";
  for (const args of [{}, { clear: [] }, { thread: "a", clear: ["thread"] }, { clear: ["content"] }])
    expect(await call("update_memory", { memory_id, ...args })).toMatchObject({ problem: { code: "INVALID_INPUT" } });
});

test.each(["search_memory", "list_memories"])(
  "%s says where the filters of the earlier system have gone",
  async (tool) => {
    const { call } = await world.assistant(ada);
    const args = {
      ...(tool === "search_memory" && { query: "x" }),
      filter_category: "note",
      filter_tags: "a",
      colour: "red",
    };
    expect(await call(tool, args)).toMatchObject({
      problem: {
        code: "INVALID_INPUT",
        errors: [
          { at: "filter_category", message: "is now filter.category" },
          { at: "filter_tags", message: "is now filter.tag" },
          { at: "colour", message: "is not known here" },
        ],
      },
    });
  },
);

test.each([
  ["add_memories", { text: "x", async_mode: true, infer: true }, ["async_mode", "infer"]],
  ["update_memory", { memory_ids: ["x"], add_tags: {}, mcp_client: "x" }, ["memory_ids", "add_tags", "mcp_client"]],
])("%s says what has become of arguments of the earlier system", async (tool, args, named) => {
  const { call } = await world.assistant(ada);
  const { problem } = (await call(tool, args)) as { problem: { errors: { at: string; message: string }[] } };
  const told = new Map(problem.errors.map(({ at, message }) => [at, message]));
  for (const name of named) expect(told.get(name)).toMatch(/^(is now|is not|cannot)(?! known)/);
});

test("whoami tells user, org, scopes and spaces", async () => {
  const { call } = await world.assistant({ ...ada, scopes: ["memories:read"] });
  expect(await call("whoami")).toEqual({
    user: "ada",
    org: "acme",
    scopes: ["memories:read"],
    grants: ["user:ada", "project:acme/web"],
    expires_at: expect.any(String),
  });
});

test.each([
  ["Cursor/1.4.2", "cursor"],
  ["claude-code/2.0 (cli)", "claude-code"],
  ["node", "mcp"],
  ["Mozilla/5.0 (X11)", "mcp"],
  ["<script>/1", "mcp"],
])("the app is the product of the User-Agent: %s", async (user_agent, app) => {
  const { call } = await world.assistant(ada, { user_agent });
  const { memories } = (await call("add_memories", { text: `from ${user_agent}` })) as { memories: { id: string }[] };
  expect(await call("get_memory", { memory_id: memories[0]?.id })).toMatchObject({ app });
});
