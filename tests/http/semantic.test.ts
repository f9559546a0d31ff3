import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { workOnce } from "../../src/embeddings/worker.ts";
import {
  beginMigration,
  compareSpaces,
  embeddingSpaces,
  jobsLeft,
  retryJobs,
  switchBack,
  switchSpaces,
} from "../../src/ops/embeddings.ts";
import { measured } from "../bench/vectors.ts";
import { openStandIn } from "../support/embedder.ts";
import { openWorld, type Person, type World } from "../support/world.ts";

const stand_in = openStandIn();
const ana: Person = { org: "meaning", sub: "ana", grants: ["project:m"] };
const bob: Person = { org: "meaning", sub: "bob", grants: ["project:m"] };
const zoe: Person = { org: "elsewhere", sub: "zoe", grants: ["project:m"] };

let world: World;
beforeAll(async () => {
  world = await openWorld({}, { embedder: stand_in.embedder });
  for (const person of [ana, bob, zoe]) await world.api(person).post("/memories", { content: "first" });
  await world.database.openEmbeddingSpaces("stand-in", 64);
  await work();
});
afterAll(async () => {
  stand_in.close();
  await world.close();
});
afterEach(() => {
  Object.assign(stand_in.state, { status: 200, delay_ms: 0, dimensions: 64 });
});

/** Does all jobs that are due. */
async function work() {
  while ((await workOnce(world.database, stand_in.embedder, () => {})) > 0);
}
const search = async (person: Person, request: object, way = "") =>
  (await world.api(person).post(`/search${way}`, request)).body;
const contents = (answer: { results: { content: string }[] }) => answer.results.map(({ content }) => content);
const vectors = async () =>
  (await world.owner<{ count: number }[]>`select count(*)::int as count from brain.memory_embeddings`)[0]?.count ?? 0;

describe("finding by meaning", () => {
  test("what says the same in other words is found, once its job is done", async () => {
    await world.api(ana).post("/memories", { content: "The quick automobile needs fuel." });
    const query = { query: "rapid car", limit: 3 };
    expect(contents(await search(ana, query, "/lexical"))).toEqual([]);
    await work();
    const answer = await search(ana, { ...query, explain: true });
    expect(contents(answer)[0]).toBe("The quick automobile needs fuel.");
    expect([answer.degraded, answer.results[0].matched]).toEqual([[], ["semantic"]]);
    expect(answer.results[0].why.meaning).toBeGreaterThan(0.5);
    const scores = answer.results.map(({ score }: { score: number }) => score);
    expect(scores).toEqual([...scores].sort((one: number, other: number) => other - one));
  });

  test("what both ways find comes first", async () => {
    await world.api(ana).post("/memories/batch", {
      memories: [{ content: "The physician is in on Mondays." }, { content: "A doctor on call, Mondays too." }],
    });
    await work();
    const { results } = await search(ana, { query: "doctor Mondays", mode: "hybrid" });
    expect(results[0]).toMatchObject({ content: "A doctor on call, Mondays too.", matched: ["lexical", "semantic"] });
  });

  test("a filter, a phrase and an exclusion hold, and a budget", async () => {
    const query = { query: "automobile", mode: "semantic" };
    expect(contents(await search(ana, { ...query, filter: { category: "decision" } }))).toEqual([]);
    expect(contents(await search(ana, { ...query, query: "car -fuel" }))).not.toContain(
      "The quick automobile needs fuel.",
    );
    expect(contents(await search(ana, { ...query, query: '"needs fuel"' }))).toEqual([
      "The quick automobile needs fuel.",
    ]);
  });

  test("others' memories are not found, and move no score", async () => {
    const before = await search(ana, { query: "rapid vehicle" });
    for (const person of [bob, zoe])
      await world.api(person).post("/memories", { content: `rapid vehicle of ${person.sub}` });
    await work();
    expect(await search(ana, { query: "rapid vehicle" })).toEqual({ ...before, took_ms: expect.any(Number) });
    await world.api(bob).post("/memories", { content: "A vehicle we share.", access_entity: "project:m" });
    await work();
    expect(contents(await search(ana, { query: "shared automobile" }, "/semantic"))).toContain("A vehicle we share.");
    expect(contents(await search(zoe, { query: "shared automobile" }, "/semantic"))).not.toContain(
      "A vehicle we share.",
    );
  });

  test("what changes is embedded anew, what is deleted has no vector from that moment on", async () => {
    const { body } = await world.api(ana).post("/memories", { content: "zebra" });
    await work();
    const count = await vectors();
    await world.api(ana).put(`/memories/${body.id}`, { content: "quick zebra" });
    expect(await vectors()).toBe(count - 1);
    await work();
    expect(await vectors()).toBe(count);
    await world.api(ana).put(`/memories/${body.id}`, { category: "decision" });
    await world.api(ana).put(`/memories/${body.id}`, { access_entity: "project:m" });
    await work();
    expect(contents(await search(bob, { query: "zebra", mode: "semantic" }))[0]).toBe("quick zebra");
    await world.api(ana).delete(`/memories/${body.id}`);
    expect(await vectors()).toBe(count - 1);
  });
});

describe("a provider that", () => {
  test.each([
    ["is down", { status: 503 }],
    ["answers with other dimensions", { dimensions: 32 }],
  ])("%s degrades the answer and loses no job", async (_what, state) => {
    Object.assign(stand_in.state, state);
    const { body } = await world.api(ana).post("/memories", { content: `automobile ${_what}` });
    expect(body.id).toBeDefined();
    const answer = await search(ana, { query: "automobile" });
    expect([answer.degraded, answer.results.length > 0]).toEqual([["semantic"], true]);
    expect((await search(ana, { query: "automobile", mode: "lexical" })).degraded).toEqual([]);
    await work();
    const [job] = await world.owner<{ attempts: number; is_later: boolean; last_error: string }[]>`
      select attempts, run_at > now() as is_later, last_error from brain.jobs`;
    expect(job).toMatchObject({ attempts: 1, is_later: true, last_error: expect.stringContaining("answered") });
    Object.assign(stand_in.state, { status: 200, dimensions: 64 });
    await world.owner`update brain.jobs set run_at = now()`;
    await work();
    expect(await world.owner`select from brain.jobs`).toHaveLength(0);
  });

  test("never comes back leaves the job dead after ten times", async () => {
    stand_in.state.status = 500;
    await world.api(ana).post("/memories", { content: "a job that dies" });
    for (let times = 0; times < 10; times++) {
      await world.owner`update brain.jobs set run_at = now()`;
      await work();
    }
    const [job] = await world.owner`select attempts, is_dead, last_error from brain.jobs`;
    expect(job).toEqual({ attempts: 10, is_dead: true, last_error: "answered 500" });
    expect(await jobsLeft(world.urls.owner_url, { dead: true })).toMatchObject([
      { org: "meaning", sub: "ana", attempts: 10 },
    ]);
    stand_in.state.status = 200;
    expect(await retryJobs(world.urls.owner_url)).toBe(1);
    await work();
    expect(await jobsLeft(world.urls.owner_url)).toEqual([]);
  });

  test("a worker that was killed gives its jobs back after its time", async () => {
    await world.api(ana).post("/memories", { content: "left behind" });
    expect(await world.database.claimJobs(10)).toHaveLength(1);
    expect(await world.database.claimJobs(10)).toHaveLength(0);
    await world.owner`update brain.jobs set taken_until = now() - interval '1 second'`;
    await work();
    expect(await world.owner`select from brain.jobs`).toHaveLength(0);
  });
});

test("a job is done as the user who wrote, in the one space: what has moved out of it is left alone", async () => {
  const { body } = await world
    .api(ana)
    .post("/memories", { content: "moves before its job", access_entity: "project:m" });
  await world.api(ana).put(`/memories/${body.id}`, { access_entity: "user:ana" });
  const jobs = await world.database.claimJobs(10);
  expect(jobs.map(({ sub, access_entity }) => [sub, access_entity]).sort()).toEqual([
    ["ana", "project:m"],
    ["ana", "user:ana"],
  ]);
  await world.owner`update brain.jobs set taken_until = null`;
  await work();
  const rows = await world.owner`
    select access_entity from brain.memory_embeddings
    join brain.spaces on spaces.org_id = memory_embeddings.org_id and spaces.id = space_id where memory_id = ${body.id}`;
  expect(rows.map((row) => row.access_entity)).toEqual(["user:ana"]);
});

test("a second space is filled while the first answers, compared, switched to, and back", async () => {
  const url = world.urls.owner_url;
  const states = async () =>
    (await embeddingSpaces(url))
      .filter(({ org }) => org === "meaning")
      .map(({ model, state, memories, embedded }) => [model, state, embedded === memories]);
  expect(await states()).toEqual([["stand-in", "active", true]]);
  expect(await beginMigration(url, "newer", 64)).toBe(2);
  expect(await switchSpaces(url).catch(({ message }: Error) => message)).toContain("not whole yet");
  expect(contents(await search(ana, { query: "rapid car" })).length).toBeGreaterThan(0);
  await work();
  const compared = (await compareSpaces(url)).find(({ org }) => org === "meaning");
  expect(compared?.sampled).toBeGreaterThan(0);
  expect(compared?.overlap).toBeWithin(0, 1.01);
  expect(await switchSpaces(url)).toBe(2);
  expect(await states()).toEqual([
    ["stand-in", "former", true],
    ["newer", "active", true],
  ]);
  await world.api(ana).post("/memories", { content: "vehicle of the new space" });
  await work();
  expect(contents(await search(ana, { query: "automobile of the new space" }))[0]).toBe("vehicle of the new space");
  expect(stand_in.state.asked.at(-1)).toMatchObject({ model: "newer" });
  expect(await switchBack(url)).toBe(2);
  await work();
  expect(await states()).toEqual([
    ["stand-in", "active", true],
    ["newer", "filling", true],
  ]);
  expect(contents(await search(ana, { query: "automobile of the new space" }))[0]).toBe("vehicle of the new space");
  expect(await beginMigration(url, "newer", 64)).toBe(0);
});

test("of more than are compared exactly, the nearest are", async () => {
  const [recall] = await measured(1500, 256, 20);
  expect(Number(recall)).toBeGreaterThanOrEqual(0.98);
}, 30_000);

test("the provider is asked as OpenAI and Ollama want to be", () => {
  expect(stand_in.state.asked[0]).toEqual({
    path: "/v1/embeddings",
    authorization: "Bearer a key",
    model: "stand-in",
    input: [expect.any(String)],
    encoding_format: "float",
  });
});

test("without a provider, asking for meaning is answered by words, and says so", async () => {
  const plain = await openWorld();
  try {
    await plain.api(ana).post("/memories", { content: "words only" });
    for (const [mode, degraded] of [
      ["auto", []],
      ["hybrid", ["semantic"]],
      ["semantic", ["semantic"]],
    ]) {
      const { body } = await plain.api(ana).post("/search", { query: "words", mode });
      expect([contents(body), body.degraded]).toEqual([["words only"], degraded]);
    }
  } finally {
    await plain.close();
  }
});
