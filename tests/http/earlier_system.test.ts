import { afterAll, beforeAll, expect, test } from "bun:test";
import { ROUTE_NEEDS, SCOPES, type Scope } from "../../src/auth/scopes.ts";
import { ada, openWorld, type World } from "../support/world.ts";

/** What the tests of the earlier system took to be otherwise than it was, in its right form. */
let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const without = (scope: Scope) => ({ ...ada, scopes: SCOPES.filter((one) => one !== scope) });
const store = async (content: string): Promise<string> => (await world.api(ada).post("/memories", { content })).body.id;

test("bulk delete needs memories:delete, and takes {memory_ids}", async () => {
  const [one, two] = [await store("one to delete"), await store("two to delete")];
  const memory_ids = [one, two];
  const refused = await world.api(without("memories:delete")).delete("/memories", { memory_ids });
  expect([refused.status, refused.body.code]).toEqual([403, "INSUFFICIENT_SCOPE"]);
  expect((await world.api(ada).get(`/memories/${one}`)).status).toBe(200);
  for (const body of [memory_ids, { ids: memory_ids }, {}, undefined])
    expect((await world.api(ada).delete("/memories", body)).status).toBe(422);
  const done = await world.api({ ...ada, scopes: ["memories:delete"] }).delete("/memories", { memory_ids });
  expect([done.status, done.body]).toEqual([200, { deleted: 2, skipped: 0 }]);
});

test("single delete needs memories:delete, and answers 204", async () => {
  const id = await store("one alone");
  const refused = await world.api(without("memories:delete")).delete(`/memories/${id}`);
  expect([refused.status, refused.body.code]).toEqual([403, "INSUFFICIENT_SCOPE"]);
  const done = await world.api({ ...ada, scopes: ["memories:delete"] }).delete(`/memories/${id}`);
  expect([done.status, done.body]).toEqual([204, ""]);
  expect((await world.api(ada).get(`/memories/${id}`)).status).toBe(404);
});

test("there is no POST /apps, and PUT /apps/{id} needs apps:write", async () => {
  const refused = await world.api(ada).post("/apps", { name: "mine" });
  expect([refused.status, refused.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  await store("through rest");
  const { id } = (await world.api(ada).get("/apps")).body.items[0];
  const unscoped = await world.api(without("apps:write")).put(`/apps/${id}`, { is_active: false });
  expect([unscoped.status, unscoped.body.code]).toEqual([403, "INSUFFICIENT_SCOPE"]);
  const done = await world.api({ ...ada, scopes: ["apps:write"] }).put(`/apps/${id}`, { is_active: true });
  expect([done.status, done.body.id]).toEqual([200, id]);
});

test("export is POST /backup/export, with backup:read", async () => {
  expect((await world.api(ada).get("/backup/export")).status).toBe(405);
  const refused = await world.api(without("backup:read")).post("/backup/export", {});
  expect([refused.status, refused.body.code]).toEqual([403, "INSUFFICIENT_SCOPE"]);
  expect(ROUTE_NEEDS["POST /api/v1/backup/export"]).toEqual(["backup:read"]);
});
