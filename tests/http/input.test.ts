import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ada, openWorld, tokenFor, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;

const store = async (body: NonNullable<RequestInit["body"]>, type = "application/json") =>
  world.raw("/api/v1/memories", {
    method: "POST",
    headers: { authorization: `Bearer ${await tokenFor(ada)}`, ...(type && { "content-type": type }) },
    body,
  });

/** The tool call with the same arguments, as bytes: what the SDK's client would never send. */
const tool = async (args: string | Uint8Array<ArrayBuffer>) => {
  const [head, tail] = [
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add_memories","arguments":',
    "}}",
  ];
  return world.raw("/mcp", {
    method: "POST",
    headers: { authorization: `Bearer ${await tokenFor(ada)}`, "content-type": "application/json" },
    body: Buffer.concat([head, args, tail].map((part) => (typeof part === "string" ? Buffer.from(part) : part))),
  });
};

/** Whatever was sent, nothing of it may be stored. */
const nothingStored = async () => expect((await world.owner`select from brain.memories`).length).toBe(0);

describe("unreadable", () => {
  test.each([
    ["broken JSON", "{", 400, "MALFORMED"],
    ["two documents", '{"content":"a"} {"content":"b"}', 400, "MALFORMED"],
    ["invalid UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 400, "MALFORMED"],
    ["UTF-16", Buffer.from('{"content":"x"}', "utf16le"), 400, "MALFORMED"],
    ["65 levels", `{"content":"x","metadata":${deep(65)}}`, 400, "MALFORMED"],
    ["200,000 levels", "[".repeat(200_000), 400, "MALFORMED"],
    ["200,000 closed levels", "[".repeat(200_000) + "]".repeat(200_000), 400, "MALFORMED"],
    ["1 MB and a byte", `{"content":"${"x".repeat(1_048_577 - 14)}"}`, 413, "TOO_LARGE"],
    ["no body", "", 422, "INVALID_INPUT"],
    ["a list", "[]", 422, "INVALID_INPUT"],
    ["null", "null", 422, "INVALID_INPUT"],
    ["a text", '"content"', 422, "INVALID_INPUT"],
  ])("%s is refused", async (_what, body, status, code) => {
    const answer = await store(body);
    expect({ status: answer.status, code: answer.body.code }).toEqual({ status, code });
    await nothingStored();
  });

  test("another media type is refused", async () => {
    for (const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data; boundary=x",
      "application/jsonp",
    ]) {
      const { status, body } = await store('{"content":"x"}', type);
      expect({ status, code: body.code }).toEqual({ status: 415, code: "UNSUPPORTED_MEDIA_TYPE" });
    }
    await nothingStored();
  });

  test.each([
    "search_query=%00",
    "search_query=%ff",
    "search_query=%ed%a0%80",
    "category=%e0%a4",
    "search_query=%",
    "search_query=a=%ff",
    "search_query=a=%00b",
  ])("a query that is no text is refused: %s", async (query) => {
    const { status, body } = await world.api(ada).get(`/memories?${query}`);
    expect({ status, code: body.code }).toEqual({ status: 400, code: "MALFORMED" });
  });

  test.each(["/memories/%ff", "/memories/%", "/memories/%e0%a4/history", "/memories/%00"])(
    "a path that is no text is refused: %s",
    async (path) => {
      const { status, body } = await world.api(ada).get(path);
      expect({ status, code: body.code }).toEqual({ status: 400, code: "MALFORMED" });
      expect((await world.api({ ...ada, scopes: [] }).get(path)).status).toBe(403);
      expect((await world.raw(`/api/v1${path}`)).status).toBe(401);
    },
  );

  test("a compressed body is refused as such", async () => {
    const { status, body } = await world.raw("/api/v1/memories", {
      method: "POST",
      headers: {
        authorization: `Bearer ${await tokenFor(ada)}`,
        "content-type": "application/json",
        "content-encoding": "gzip",
      },
      body: Bun.gzipSync(Buffer.from('{"content":"x"}')),
    });
    expect({ status, code: body.code }).toEqual({ status: 415, code: "UNSUPPORTED_MEDIA_TYPE" });
  });

  test.each([
    ["page=0&size=0", ["page", "size"]],
    ["page=0x10", ["page"]],
    ["page=1e1", ["page"]],
    ["size=%201", ["size"]],
    ["page=1&page=2", ["page"]],
    ["category=note&category=decision", ["category"]],
    ["access_entity=auto", ["access_entity"]],
    ["page=1000&size=100", ["page"]],
    ["cursor=MjAyNC0wMi0zMVQwMDowMDowMFogMDFhMjA3OWMtMDAwMC03MDAwLTgwMDAtMDAwMDAwMDAwMDAw", ["cursor"]],
  ])("a query that does not fit names where: %s", async (query, places) => {
    const { status, body } = await world.api(ada).get(`/memories?${query}`);
    expect({ status, places: body.errors?.map(({ at }: { at: string }) => at) }).toEqual({ status: 422, places });
  });

  test("a route without a query takes none", async () => {
    for (const answer of [
      await world.api(ada).get("/tokens/me?x=1"),
      await world.api(ada).post("/search?limit=1", { query: "x" }),
      await world.api(ada).get("/memories/01a2079c-0000-7000-8000-000000000000?a=1"),
    ])
      expect({ status: answer.status, code: answer.body.code }).toEqual({ status: 422, code: "INVALID_INPUT" });
  });

  test.each(["x", "%ff", "01a2079c-0000-7000-8000-00000000000", "1", "' or 1=1"])(
    "an id that is none is refused: %s",
    async (id) => {
      const { status, body } = await world.api(ada).get(`/memories/${encodeURIComponent(id)}`);
      expect({ status, code: body.code }).toEqual({ status: 422, code: "INVALID_INPUT" });
    },
  );
});

describe("both doors refuse the same", () => {
  test.each([
    ["NUL in a value", `{"content":"a\\u0000b"}`, "content"],
    ["NUL in a key of metadata", `{"content":"x","metadata":{"a\\u0000":1}}`, "metadata"],
    ["a lone surrogate", `{"content":"\\ud800"}`, "content"],
    ["a lone surrogate deep inside", `{"content":"x","metadata":{"a":[{"b":"\\udfff"}]}}`, "metadata.a.0.b"],
    ["__proto__", `{"content":"x","metadata":{"__proto__":{"a":1}}}`, "metadata"],
    ["__proto__ among tags", `{"content":"x","tags":["a","__proto__"]}`, "tags"],
    ["an unknown field", `{"content":"x","colour":"red"}`, "colour"],
    ["a known field one may not set", `{"content":"x","owner":"ben"}`, "owner"],
    ["another category", `{"content":"x","category":"gossip"}`, "category"],
    ["no content", `{"category":"note"}`, "content"],
    ["empty content", `{"content":""}`, "content"],
    ["blank content", `{"content":" \\n\\t\\u00a0\\ufeff "}`, "content"],
    ["65,537 bytes", `{"content":"${"x".repeat(65_537)}"}`, "content"],
    ["65,537 bytes in fewer characters", `{"content":"x${"é".repeat(32_768)}"}`, "content"],
    ["an object that pretends to be a text", `{"content":{"toString":1}}`, "content"],
    ["another deep inside", `{"content":"x","code_refs":[{"path":{"toString":null,"valueOf":1}}]}`, "code_refs.0.path"],
    ["an unknown field that is null", `{"content":"x","bogus":null}`, "bogus"],
    ["a tag that is null", `{"content":"x","tags":{"a":null}}`, "tags"],
    [
      "a space 17 levels deep",
      `{"content":"x","access_entity":"project:${Array(17).fill("a").join("/")}"}`,
      "access_entity",
    ],
    ["content that is no text", `{"content":7}`, "content"],
    ["metadata over 16 KB", `{"content":"x","metadata":{"a":"${"x".repeat(16_384)}"}}`, "metadata"],
    ["33 entities", `{"content":"x","entities":${JSON.stringify(Array(33).fill("e"))}}`, "entities"],
    ["an entity and entities", `{"content":"x","entity":"a","entities":["b"]}`, "entity"],
    ["a tag that is a list", `{"content":"x","tags":{"a":[1]}}`, "tags"],
    [
      "65 tags",
      `{"content":"x","tags":${JSON.stringify(Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`t${n}`, 1])))}}`,
      "tags",
    ],
    ["a code ref without path", `{"content":"x","code_refs":[{"symbol":"f"}]}`, "code_refs.0.path"],
    [
      "lines the wrong way round",
      `{"content":"x","code_refs":[{"path":"a","line_start":9,"line_end":3}]}`,
      "code_refs.0.line_end",
    ],
    [
      "a line beyond counting",
      `{"content":"x","code_refs":[{"path":"a","line_start":2147483648}]}`,
      "code_refs.0.line_start",
    ],
    ["a space without a kind", `{"content":"x","access_entity":"acme"}`, "access_entity"],
    ["a space with a pattern", `{"content":"x","access_entity":"project:%"}`, "access_entity"],
  ])("%s", async (_what, body, at) => {
    const rest = await store(body);
    expect({ status: rest.status, code: rest.body.code, at: rest.body.errors?.[0].at }).toEqual({
      status: 422,
      code: "INVALID_INPUT",
      at,
    });
    const mcp = await tool(body.replace('"content"', '"text"'));
    expect(mcp.status).toBe(200);
    expect(mcp.body.result.isError).toBe(true);
    const problem = JSON.parse(mcp.body.result.content[0].text);
    const named = { content: "text" }[at] ?? at;
    expect({ code: problem.code, at: problem.errors[0].at }).toEqual({ code: "INVALID_INPUT", at: named });
    await nothingStored();
  });

  test("a refusal never repeats what was sent", async () => {
    const secret = "hunter2hunter2";
    for (const body of [
      { content: { secret } },
      { content: "x", category: secret },
      { content: "x", access_entity: secret },
      { content: "x", tags: { a: [secret] } },
      { content: `${secret}\u0000` },
    ]) {
      const rest = await store(JSON.stringify(body));
      const mcp = await tool(JSON.stringify(body).replace('"content"', '"text"'));
      expect(JSON.stringify([rest.body, mcp.body])).not.toContain(secret);
    }
  });

  test("what lies around a tool's arguments is judged too", async () => {
    for (const message of [
      `{"jsonrpc":"2.0","id":"\\ud800","method":"ping"}`,
      `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":${deep(65)}}}`,
      `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"__proto__":{}}}`,
    ]) {
      const { status, body } = await world.raw("/mcp", {
        method: "POST",
        headers: { authorization: `Bearer ${await tokenFor(ada)}`, "content-type": "application/json" },
        body: message,
      });
      expect({ refused: status === 400 || status === 422, code: body.error.code }).toEqual({
        refused: true,
        code: -32600,
      });
    }
  });

  test("65 levels", async () => {
    const { status, body } = await tool(`{"text":"x","metadata":${deep(65)}}`);
    expect({ status, code: JSON.parse(body.result.content[0].text).code }).toEqual({ status: 200, code: "MALFORMED" });
    await nothingStored();
  });

  test("invalid UTF-8 and a body over 1 MB are refused by MCP as JSON-RPC errors with the problem in data", async () => {
    for (const [args, status, code] of [
      [new Uint8Array([0x22, 0xff, 0x22]), 400, "MALFORMED"],
      [`{"text":"${"x".repeat(1_048_576)}"}`, 413, "TOO_LARGE"],
    ] as const) {
      const answer = await tool(args);
      expect({ status: answer.status, id: answer.body.id, code: answer.body.error.data.code }).toEqual({
        status,
        id: null,
        code,
      });
    }
    await nothingStored();
  });
});

describe("taken", () => {
  const limits = {
    content: `${"é".repeat(32_767)}xy`,
    entities: Array.from({ length: 32 }, (_, n) => `${n} ${"e".repeat(250)}`),
    evidence: Array(32).fill("e"),
    tags: Object.fromEntries(Array.from({ length: 64 }, (_, n) => [`t${n}`, n])),
    thread: "t".repeat(256),
    artifact_ref: "r".repeat(1024),
    metadata: { a: "x".repeat(16_384 - 8) },
  };

  test("everything at its limit", async () => {
    const { status, body } = await world.api(ada).post("/memories", limits);
    expect(status).toBe(201);
    expect(body).toMatchObject(limits);
  });

  test("words too long to index, markup, quotes, right-to-left and emoji", async () => {
    for (const content of [
      "w".repeat(60_000),
      "<script>alert(1)</script>",
      "'; drop table x; --",
      "שלום \u202e x",
      '👩‍👩‍👧 \\ " \u2028 x',
    ]) {
      const { status, body } = await world.api(ada).post("/memories", { content });
      expect({ status, content: body.content }).toEqual({ status: 201, content });
    }
  });

  test("64 levels", async () => {
    const metadata = JSON.parse(deep(62));
    const { status, body } = await world.api(ada).post("/memories", { content: "deep", metadata });
    expect({ status, metadata: body.metadata }).toEqual({ status: 201, metadata });
  });
});
