import { afterAll, beforeAll, expect, test } from "bun:test";
import { workOnce } from "../../src/embeddings/worker.ts";
import { openStandIn } from "../support/embedder.ts";
import { brain } from "../support/processes.ts";
import { ada, openWorld, type World } from "../support/world.ts";

const stand_in = openStandIn();
let world: World;
beforeAll(async () => {
  world = await openWorld({}, { embedder: stand_in.embedder });
  await world.api(ada).post("/memories", { content: "one" });
  await world.database.openEmbeddingSpaces("stand-in", 64);
});
afterAll(async () => {
  stand_in.close();
  await world.close();
});

const asOwner = (args: string[], variables: Record<string, string> = {}) =>
  brain(args, { OWNER_DATABASE_URL: world.urls.owner_url, ...variables });
const work = () => workOnce(world.database, stand_in.embedder, () => {});

test("jobs and status say what is left to do, and migrate, switch and back move to another model", async () => {
  const left = await asOwner(["jobs", "--json"]);
  expect(JSON.parse(left.out)).toMatchObject([{ org: "acme", kind: "embed", sub: "ada", attempts: 0, is_dead: false }]);
  expect((await asOwner(["embeddings", "status"])).out).toBe(
    '"acme" 1: stand-in, 64 dimensions, active; 0 of 1 embedded, 1 waiting, 0 given up\n',
  );
  await work();
  expect((await asOwner(["jobs"])).out).toBe("No jobs are left.\n");

  const newer = { EMBEDDINGS_URL: stand_in.url, EMBEDDINGS_MODEL: "newer" };
  expect((await asOwner(["embeddings", "migrate"], newer)).out).toStartWith("1 spaces of newer (64 dimensions) begun.");
  const early = await asOwner(["embeddings", "switch"]);
  expect([early.code, early.err]).toEqual([1, expect.stringContaining("not whole yet")]);
  await work();
  expect((await asOwner(["embeddings", "switch"])).out).toEndWith("1 orgs switched.\n");
  const states = JSON.parse((await asOwner(["embeddings", "status", "--json"])).out);
  expect(states.map(({ model, state }: { model: string; state: string }) => [model, state])).toEqual([
    ["stand-in", "former"],
    ["newer", "active"],
  ]);
  expect((await asOwner(["embeddings", "back"])).out).toBe("1 orgs switched back.\n");
}, 30_000);

test("migrate needs a provider, and one that answers", async () => {
  const none = await asOwner(["embeddings", "migrate"]);
  expect([none.code, none.err]).toEqual([3, expect.stringContaining("EMBEDDINGS_URL")]);
  stand_in.state.status = 500;
  const silent = await asOwner(["embeddings", "migrate"], { EMBEDDINGS_URL: stand_in.url, EMBEDDINGS_MODEL: "x" });
  expect([silent.code, silent.err]).toEqual([1, "The provider of embeddings does not answer.\n"]);
  const half = await asOwner(["embeddings", "migrate"], { EMBEDDINGS_URL: "ftp://x", EMBEDDINGS_MODEL: "x" });
  expect([half.code, half.err]).toEqual([3, "EMBEDDINGS_URL must be a URL like https://api.openai.com/v1.\n"]);
}, 30_000);
