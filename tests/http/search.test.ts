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
