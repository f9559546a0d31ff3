import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { examine } from "../../src/ops/doctor.ts";
import { ada, ben, DATA_DIR, openWorld, type World } from "../support/world.ts";

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

test("brain doctor says where they are wrong, and the page how to count anew", async () => {
  const look = async () => {
    const { owner_url, service_url } = world.urls;
    const found = await examine({ owner_url, root_url: undefined, service_url, data_dir: DATA_DIR });
    return found.find(({ about }) => about === "what spaces hold");
  };
  expect(await look()).toEqual({ about: "what spaces hold", verdict: "good", said: "is what they say" });
  await world.owner`update brain.space_sizes set memories = memories + 1 where is_sum`;
  await world.owner`insert into brain.space_sizes select (space_sizes).* from (
    select jsonb_populate_record(space_sizes, jsonb_build_object('id', gen_random_uuid(), 'category', 'glossary')) as space_sizes
    from brain.space_sizes join brain.spaces on spaces.id = space_sizes.space_id and access_entity = 'user:ada' limit 1) as made`;
  expect(await look()).toMatchObject({ verdict: "bad", said: expect.stringMatching(/^is not what 2 of them say: /) });
  const page = readFileSync(join(import.meta.dir, "../../docs/operations.md"), "utf8");
  const [, anew = ""] = /### Sizes\n[^`]*(?:`[^`]+`[^`]*)*```sql\n([^`]+)```/.exec(page) ?? [];
  expect(anew).toContain("delete from brain.space_sizes");
  await world.owner.begin((tx) => tx.unsafe(anew.replace(/^(begin|commit);$/gm, "")).simple());
  await expectSame();
  expect(await look()).toMatchObject({ verdict: "good" });
});
