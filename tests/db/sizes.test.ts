import { afterAll, beforeAll, expect, test } from "bun:test";
import { ada, ben, openWorld, type World } from "../support/world.ts";

/** brain.space_sizes tells at any moment what counting would. */
let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const told = () => world.owner`
  select space_id, state, category, app_id, app, source, artifact_type, sum(memories)::int as memories
  from brain.space_sizes
  group by space_id, state, category, app_id, app, source, artifact_type
  having sum(memories) <> 0
  order by space_id, state, category, app_id, source, artifact_type`;
const counted = () => world.owner`
  select space_id, state, category, app_id, app, source, artifact_type, count(*)::int as memories
  from brain.memories
  where state <> 'deleted'
  group by space_id, state, category, app_id, app, source, artifact_type
  order by space_id, state, category, app_id, source, artifact_type`;
const expectSame = async () => expect([...(await told())]).toEqual([...(await counted())]);
const add = async (memory: object) => (await world.api(ada).post("/memories", memory)).body.id as string;
const shared = { access_entity: "project:acme/web" };

test("after every kind of write", async () => {
  const one = await add({ content: "One.", category: "decision", artifact_type: "api", ...shared });
  await expectSame();
  await add({ content: "One.", category: "decision", artifact_type: "api", ...shared }); // a duplicate adds nothing
  await expectSame();
  const memories = ["Two.", "Three.", "Four."].map((content, place) => ({
    content,
    category: place === 1 ? "runbook" : "note",
    source: place === 2 ? "import" : "user",
  }));
  await world.api(ada).post("/memories/batch", { memories });
  await expectSame();
  const api = world.api(ada);
  await api.call("PATCH", `/memories/${one}`, { category: "convention", artifact_type: "db" });
  await expectSame();
  await api.call("PATCH", `/memories/${one}`, { access_entity: "user:ada" });
  await expectSame();
  await api.call("PATCH", `/memories/${one}`, { thread: "of nothing that is counted" });
  await expectSame();
  for (const action of ["archive", "restore", "pause", "restore"]) {
    expect((await api.post(`/memories/actions/${action}`, { memory_ids: [one] })).status).toBe(200);
    await expectSame();
  }
  expect((await api.call("DELETE", `/memories/${one}`)).status).toBe(204);
  await expectSame();
  await world.owner`update brain.memories set deleted_at = now() - interval '31 days' where id = ${one}`;
  await world.owner`select app.purge_expired(1000)`;
  await world.owner`delete from brain.memories where content = 'Three.'`; // as only the owner can
  await expectSame();
  expect(await counted()).not.toEqual([]);
});

test("of writes that were taken back, nothing", async () => {
  const before = await told();
  const { status } = await world.api(ada).post("/memories/batch", {
    memories: [{ content: "Lost." }, { content: "Refused.", access_entity: "project:other/one" }],
  });
  expect(status).toBe(403);
  expect([...(await told())]).toEqual([...before]);
});

test("of many writers at once, and what they have told is added up", async () => {
  await Promise.all(
    [ada, ben].flatMap((person) =>
      Array.from({ length: 4 }, async (_, writer) => {
        for (let n = 0; n < 30; n++) {
          const { body } = await world.api(person).post("/memories", { content: `${writer} ${n}`, ...shared });
          if (n % 3 === 0) await world.api(person).call("DELETE", `/memories/${body.id}`);
        }
      }),
    ),
  );
  await expectSame();
  const [row] = await world.owner<{ told: number; sums: number }[]>`
    select count(*) filter (where not is_sum)::int as told, count(*) filter (where is_sum)::int as sums
    from brain.space_sizes join brain.spaces using (org_id) where spaces.id = space_id and access_entity = 'project:acme/web'`;
  // Of more than two hundred. A few more than sixty-four, where two added up at once.
  expect(row?.told).toBeLessThan(100);
  expect(row?.sums).toBeGreaterThan(0);
});
