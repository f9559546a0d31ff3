import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ada, cyd, eve, openWorld, type Person, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const reader: Person = { org: "library", sub: "rea", grants: ["project:books", "team:books/night"] };
const search = async (person: Person, request: object) => (await world.api(person).post("/search", request)).body;
const found = async (query: string, filter = {}) =>
  (await search(reader, { query, filter })).results.map((hit: { content: string }) => hit.content);

describe("finding", () => {
  beforeAll(async () => {
    await world.api(reader).post("/memories/batch", {
      memories: [
        { content: "Deployments happen on Thursdays, never on Fridays.", category: "convention" },
        { content: "The deploy script rolls back by itself.", category: "runbook", access_entity: "project:books" },
        { content: "PostgreSQL keeps tenants apart with row-level security.", category: "decision" },
        { content: "Row security is tested per table.", category: "testing", access_entity: "team:books/night" },
        { content: "Das Prüfsummenverfahren heißt SHA-256.", category: "glossary" },
        { content: "O'Reilly's \\d+ & | ! ( ) <-> :* 'quoted' it is", category: "note" },
      ],
    });
  });

  test.each([
    ["deploying", ["Deployments happen on Thursdays, never on Fridays.", "The deploy script rolls back by itself."]],
    ["Prüfsummenverfahren", ["Das Prüfsummenverfahren heißt SHA-256."]],
    ['"row-level security"', ["PostgreSQL keeps tenants apart with row-level security."]],
    ["security -postgresql", ["Row security is tested per table."]],
    ['security -"row-level security"', ["Row security is tested per table."]],
    ["SHA-256", ["Das Prüfsummenverfahren heißt SHA-256."]],
    ["the", []],
    ["-security", []],
    ["nothing-of-the-kind", []],
  ])("%s", async (query, contents) => {
    expect((await found(query)).sort()).toEqual([...contents].sort());
  });

  test("of two that have a word once, the shorter comes first", async () => {
    const terse: Person = { org: "library", sub: "terse" };
    for (const content of ["gannet among many other words that say little about it", "gannet here"])
      await world.api(terse).post("/memories", { content });
    const { results } = await search(terse, { query: "gannet" });
    expect(results.map((hit: { content: string }) => hit.content.length)).toEqual([11, 54]);
  });

  test("the rarer word weighs more", async () => {
    const [best] = await found("row security tenants");
    expect(best).toBe("PostgreSQL keeps tenants apart with row-level security.");
  });

  test.each([
    [{ category: "runbook" }, 1],
    [{ category: ["runbook", "convention"] }, 2],
    [{ access_entity: "project:books" }, 1],
    [{ access_entity: ["user:rea", "project:books"] }, 2],
    [{ access_entity: "project:else" }, 0],
    [{ state: "archived" }, 0],
    [{ state: ["active", "archived"], category: "runbook" }, 1],
  ])("filtered by %j", async (filter, count) => {
    expect((await found("deploy", filter)).length).toBe(count);
  });

  test("scores lie in 0..1 and fall", async () => {
    const { results } = await search(reader, { query: "row security deploy tenants thursdays" });
    const scores = results.map((hit: { score: number }) => hit.score);
    expect(scores).toEqual([...scores].sort((a: number, b: number) => b - a));
    expect(Math.max(...scores)).toBeLessThanOrEqual(1);
    expect(Math.min(...scores)).toBeGreaterThan(0);
  });

  test("the limit holds and the count tells of the rest", async () => {
    const { results, total_count, degraded } = await search(reader, { query: "deploy security", limit: 1 });
    expect({ shown: results.length, total_count, degraded }).toEqual({ shown: 1, total_count: 4, degraded: [] });
  });

  test.each([
    "' or 1=1 --",
    "a & | ! ( ) <-> :* \\",
    "'''",
    '"""',
    '"unclosed',
    "-",
    "--",
    '-"" ""',
    "\\' \\\\ :A b:*",
    "👩‍👩‍👧 ‮",
    "x".repeat(1024),
    "a ".repeat(512),
  ])("%s is only words", async (query) => {
    const { status, body } = await world.api(reader).post("/search", { query });
    expect({ status, results: Array.isArray(body.results) }).toEqual({ status: 200, results: true });
  });
});

describe("what others store", () => {
  test("is not found, and moves no score and no count", async () => {
    await world.api(ada).post("/memories/batch", {
      memories: ["heron by the lake", "heron and egret", "a lake"].map((content) => ({ content })),
    });
    const before = await search(ada, { query: "heron lake" });
    expect(before.total_count).toBe(3);
    for (const person of [cyd, eve, { org: "umbrella", sub: "ada" }])
      await world.api(person).post("/memories/batch", {
        memories: Array.from({ length: 100 }, (_, index) => ({ content: `heron ${index} ${"lake ".repeat(index)}` })),
      });
    const { took_ms: _, ...after } = await search(ada, { query: "heron lake" });
    expect<object>(after).toEqual({ ...after, results: before.results, total_count: 3 });
    expect((await search(cyd, { query: "egret" })).results).toEqual([]);
  });
});

describe("names and codes", () => {
  const dev: Person = { org: "library", sub: "dev" };
  const first = async (query: string) => (await search(dev, { query })).results[0]?.content;

  beforeAll(async () => {
    await world.api(dev).post("/memories/batch", {
      memories: [
        "parseInvoiceHeader drops what it cannot read.",
        "parseInvoiceFooter sums up.",
        "The retry_backoff_policy is in src/http/retry.ts, its tests in src/http/retry.test.ts.",
        "ERR_BILLING_1042 means that the card was refused; ERR_BILLING_1043 that it is unknown.",
        "billing.invoice::Total is rounded down.",
        "Our PostgreSQL runs in two places.",
        "Привет, мир: слова находятся.",
      ].map((content) => ({ content })),
    });
    await world
      .api(dev)
      .post("/memories", { content: "Nobody owns this.", artifact_ref: "src/legacy/zebra_crossing.py" });
  });

  test.each([
    ["parseInvoiceHeader", "parseInvoiceHeader drops what it cannot read."],
    ["parseinvoiceheader", "parseInvoiceHeader drops what it cannot read."],
    ["invoice header", "parseInvoiceHeader drops what it cannot read."],
    ["parseInvoiceHaeder", "parseInvoiceHeader drops what it cannot read."],
    ["retry.ts", "The retry_backoff_policy is in src/http/retry.ts, its tests in src/http/retry.test.ts."],
    ["backoff", "The retry_backoff_policy is in src/http/retry.ts, its tests in src/http/retry.test.ts."],
    ["retry_bakoff_policy", "The retry_backoff_policy is in src/http/retry.ts, its tests in src/http/retry.test.ts."],
    ["ERR_BILLING_1042", "ERR_BILLING_1042 means that the card was refused; ERR_BILLING_1043 that it is unknown."],
    ["invoice::Total", "billing.invoice::Total is rounded down."],
    ["postgresql", "Our PostgreSQL runs in two places."],
    ["zebra_crossing.py", "Nobody owns this."],
    ["слова", "Привет, мир: слова находятся."],
    ["куда", undefined],
  ])("%s", async (query, content) => {
    expect(await first(query)).toBe(content);
  });

  test("what is changed is found by its new words, what is deleted or moved away not at all", async () => {
    const { api } = world;
    const { body } = await api(dev).post("/memories", { content: "okapi_habitat" });
    await api(dev).put(`/memories/${body.id}`, { content: "quagga_habitat" });
    expect([await first("okapi_habitat"), await first("okapy_habitat")]).toEqual(["quagga_habitat", "quagga_habitat"]);
    await api(dev).delete(`/memories/${body.id}`);
    expect((await search(dev, { query: "quagga habitat" })).total_count).toBe(0);
    const [left] = await world.owner<{ terms: number; words: number }[]>`
      select (select count(*)::int from brain.memory_terms where term like '%habitat%') as terms,
             (select count(*)::int from brain.space_words where word like '%habitat%') as words`;
    expect(left).toEqual({ terms: 0, words: 0 });
  });
});

describe("threads", () => {
  test("an answer without the words is found by what was asked before it, in its own thread alone", async () => {
    const tess: Person = { org: "library", sub: "tess" };
    await world.api(tess).post("/memories/batch", {
      memories: [
        { content: "Where does the albatross nest?", thread: "a" },
        { content: "On the southern cliff.", thread: "a" },
        { content: "Thank you.", thread: "b" },
        { content: "On the northern cliff." },
      ],
    });
    const { results } = await search(tess, { query: "albatross nest" });
    expect(results.map(({ content, matched }: { content: string; matched: string[] }) => [content, matched])).toEqual([
      ["Where does the albatross nest?", ["lexical"]],
      ["On the southern cliff.", ["thread"]],
    ]);
    const filtered = await search(tess, { query: "albatross nest", filter: { category: "decision" } });
    expect(filtered.results).toEqual([]);
  });

  test("who is named by the query comes before who only speaks of it", async () => {
    const uma: Person = { org: "library", sub: "uma" };
    await world.api(uma).post("/memories/batch", {
      memories: [{ content: "Joan: what does Gina like, pottery?" }, { content: "Gina: pottery, yes, what else" }],
    });
    const { results } = await search(uma, { query: "Gina pottery", explain: true });
    expect(results.map(({ why }: { why: { named: boolean } }) => why.named)).toEqual([true, false]);
  });
});

describe("links", () => {
  test("an entity is found in any spelling, and what it is mentioned with after it", async () => {
    const lio: Person = { org: "library", sub: "lio" };
    await world.api(lio).post("/memories/batch", {
      memories: [
        { content: "It keeps the orders.", entities: ["Orders Database"] },
        { content: "It is backed up hourly.", entities: ["orders-database", "Vault"] },
        { content: "Needs two keys.", entities: ["vault"] },
        { content: "Something else.", entities: ["Elsewhere"] },
      ],
    });
    const { results } = await search(lio, { query: "ordersdatabase" });
    expect(results.map(({ content }: { content: string }) => content)).toEqual([
      "It is backed up hourly.",
      "It keeps the orders.",
      "Needs two keys.",
    ]);
    const { results: linked } = await search(lio, { query: "backed up hourly" });
    expect(linked.map(({ content, matched }: { content: string; matched: string[] }) => [content, matched])).toEqual([
      ["It is backed up hourly.", ["lexical", "graph"]],
      ["Needs two keys.", ["graph"]],
      ["It keeps the orders.", ["graph"]],
    ]);
  });
});

describe("how an answer is given", () => {
  const page: Person = { org: "library", sub: "page" };
  beforeAll(async () => {
    await world.api(page).post("/memories/batch", {
      memories: Array.from({ length: 30 }, (_, index) => ({
        content: `walrus ${index} ${"tusk ".repeat(index)}`,
        category: index % 2 ? "decision" : "note",
        ...(index === 29 && { tags: { ice: "thick" }, entities: ["Floe"], artifact_ref: "north" }),
      })),
    });
  });

  test("page by page, each hit once, in one order", async () => {
    const whole = await search(page, { query: "walrus", limit: 30 });
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const answer = await search(page, { query: "walrus", limit: 7, ...(cursor && { cursor }) });
      seen.push(...answer.results.map(({ id }: { id: string }) => id));
      cursor = answer.next_cursor ?? undefined;
    } while (cursor);
    expect(seen).toEqual(whole.results.map(({ id }: { id: string }) => id));
    expect([seen.length, whole.next_cursor]).toEqual([30, null]);
  });

  test("a cursor is for the search that gave it", async () => {
    const { next_cursor: cursor } = await search(page, { query: "walrus", limit: 7 });
    for (const request of [
      { query: "tusk", cursor },
      { query: "walrus", cursor, filter: { category: "note" } },
      { query: "walrus", cursor: "x" },
    ]) {
      const { errors } = await search(page, request);
      expect(errors).toEqual([{ at: "cursor", message: "is not one that this search gave out" }]);
    }
  });

  test("as much of each as is asked for", async () => {
    const keys = async (detail: string) =>
      Object.keys((await search(page, { query: "walrus", limit: 1, detail })).results[0]);
    expect((await keys("ids")).sort()).toEqual(["id", "matched", "score"]);
    expect((await keys("preview")).sort()).toEqual(
      ["access_entity", "category", "created_at", "id", "matched", "preview", "score", "superseded_by"].sort(),
    );
    expect(await keys("full")).toContain("content");
  });

  test("within a budget, and it says how many were left out and goes on there", async () => {
    const answer = await search(page, { query: "walrus", limit: 20, max_tokens: 1000 });
    expect(JSON.stringify(answer).length).toBeLessThanOrEqual(4000);
    expect(answer.results.length + answer.left_out).toBe(20);
    const next = await search(page, { query: "walrus", limit: 20, max_tokens: 1000, cursor: answer.next_cursor });
    expect(next.results[0].id).not.toBe(answer.results[0].id);
  });

  test.each([
    [{ tag: "ice=thick" }, { tag: 1.25 }],
    [{ tag: "ice" }, { tag: 1.25 }],
    [{ entity: "floe" }, { entity: 1.25 }],
    [
      { artifact_ref: "north", entity: "FLOE" },
      { artifact_ref: 1.25, entity: 1.25 },
    ],
  ])("the context %j lifts what fits", async (context, lifts) => {
    const { results } = await search(page, { query: "walrus", limit: 30, context, explain: true });
    expect(results[0].why.lifts).toEqual(lifts);
    const scores = results.map(({ score }: { score: number }) => score);
    expect(scores).toEqual([...scores].sort((one: number, other: number) => other - one));
  });

  test("what is one half-life old is lifted half as much as what is new", async () => {
    const aged: Person = { org: "library", sub: "aged" };
    for (const content of ["lemur new", "lemur old"]) await world.api(aged).post("/memories", { content });
    await world.owner`update brain.memories set created_at = now() - interval '10 days' where content = 'lemur old'`;
    const { results } = await search(aged, { query: "lemur", context: { half_life_days: 10 }, explain: true });
    const lifts = results.map(({ why }: { why: { lifts: { half_life_days: number } } }) => why.lifts.half_life_days);
    expect(lifts[0]).toBeCloseTo(1.25, 3);
    expect(lifts[1]).toBeCloseTo(1.125, 3);
  });
});

test("docs/search.md does its sum right", async () => {
  const exa: Person = { org: "library", sub: "exa" };
  for (const content of [
    "Ada: we retry twice.",
    "The gateway retries with jitter, then gives up.",
    "Deploys happen on Thursdays.",
  ])
    await world.api(exa).post("/memories", { content });
  const { results } = await search(exa, { query: "retry jitter" });
  const scores = results.map(({ score }: { score: number }) => score.toFixed(4));
  expect(scores).toEqual(["0.4040", "0.1314"]);
  const { results: named } = await search(exa, { query: "Ada retry jitter", explain: true });
  expect(named.map(({ why }: { why: { named: boolean } }) => why.named).sort()).toEqual([false, true]);
});
