import { afterAll, beforeAll, expect, test } from "bun:test";
import { openWorld, type Person, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const crew = (sub: string): Person => ({ org: "acme", sub, grants: ["project:acme/web"] });
const today = () => new Date().toISOString().slice(0, 10);

test("who has nothing has nothing counted", async () => {
  const { status, body } = await world.api({ org: "acme", sub: "nobody" }).get("/stats?days=2");
  expect([status, body]).toEqual([
    200,
    {
      total_memories: 0,
      total_apps: 1,
      by_state: [],
      by_category: [],
      by_space: [],
      by_app: [],
      growth: [
        { day: new Date(Date.now() - 86_400_000).toISOString().slice(0, 10), created: 0 },
        { day: today(), created: 0 },
      ],
    },
  ]);
});

test("counts what one sees, by state, category, space, app and day", async () => {
  const [sam, tea] = [crew("sam"), crew("tea")];
  const store = async (person: Person, content: string, fields = {}): Promise<string> =>
    (await world.api(person).post("/memories", { content, ...fields })).body.id;
  const shared = { access_entity: "project:acme/web", category: "decision" };
  await store(sam, "one", shared);
  await store(tea, "two", shared);
  await store(tea, "tea's own");
  const archived = await store(sam, "three");
  await world.api(sam).post("/memories/actions/archive", { memory_ids: [archived] });
  await world.api(sam).delete(`/memories/${await store(sam, "four")}`);
  const { call } = await world.assistant(sam, { user_agent: "cursor/1" });
  await call("add_memories", { text: "five" });
  await world.owner`
    update brain.memories set created_at = now() - interval '3 days' where id = ${archived}`;
  const { body } = await world.api(sam).get("/stats?days=5");
  expect(body).toEqual({
    total_memories: 4,
    total_apps: 2,
    by_state: [
      { state: "active", count: 3 },
      { state: "archived", count: 1 },
    ],
    by_category: [
      { category: "decision", count: 2 },
      { category: "note", count: 2 },
    ],
    by_space: [
      { access_entity: "project:acme/web", count: 2 },
      { access_entity: "user:sam", count: 2 },
    ],
    by_app: [
      { app: "rest", count: 3 },
      { app: "cursor", count: 1 },
    ],
    growth: [0, 1, 0, 0, 3].map((created, index) => ({
      day: new Date(Date.now() - (4 - index) * 86_400_000).toISOString().slice(0, 10),
      created,
    })),
  });
  expect((await world.api(sam).get("/stats")).body.growth).toHaveLength(30);
  expect((await world.api(sam).get("/stats?days=366")).body.growth).toHaveLength(366);
});

test.each(["0", "367", "-1", "1.5", "1e2", "x", ""])("refused: days=%s", async (days) => {
  const { status, body } = await world.api(crew("sam")).get(`/stats?days=${days}`);
  expect([status, body.errors]).toEqual([422, [{ at: "days", message: "must be a whole number from 1 to 366" }]]);
});
