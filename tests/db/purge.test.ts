import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { startPurger } from "../../src/retention/purger.ts";
import { countedOf } from "../support/reads.ts";
import { ada, eve, openWorld, type Person, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

/** As the process does it, once. */
const purge = () => startPurger(world.database, () => {}).stop();

/** A memory of three revisions that mentions something, deleted so many days ago. */
async function deletedFor(person: Person, days: number): Promise<string> {
  const content = `gone for ${days} days`;
  const { body } = await world.api(person).post("/memories", { content, entities: [`entity of ${days}`] });
  await world.api(person).put(`/memories/${body.id}`, { category: "decision" });
  await world.api(person).delete(`/memories/${body.id}`);
  await world.owner`alter table brain.memories disable trigger user`;
  await world.owner`update brain.memories set deleted_at = now() - make_interval(days => ${days}) where id = ${body.id}`;
  await world.owner`alter table brain.memories enable trigger user`;
  return body.id;
}

/** How many rows there are of a memory: itself, its revisions, its mentions. */
async function rowsOf(id: string): Promise<number[]> {
  const [row] = await world.owner<{ memories: number; revisions: number; mentions: number }[]>`
    select (select count(*)::int from brain.memories where id = ${id}) as memories,
           (select count(*)::int from brain.memory_revisions where memory_id = ${id}) as revisions,
           (select count(*)::int from brain.memory_entities where memory_id = ${id}) as mentions`;
  return row ? Object.values(row) : [];
}

beforeEach(async () => {
  await world.owner`delete from brain.settings`;
});

test("memories deleted 31 days ago are gone with all there was of them; younger and living ones stay", async () => {
  const [old, young] = [await deletedFor(ada, 31), await deletedFor(ada, 29)];
  const { body: living } = await world.api(ada).post("/memories", { content: "alive", entity: "entity of the living" });
  await world.owner`update brain.entities set created_at = now() - interval '2 days'`;
  expect(await rowsOf(old)).toEqual([1, 2, 0]); // what it mentioned went when it was deleted
  await purge();
  expect(await rowsOf(old)).toEqual([0, 0, 0]);
  expect(await rowsOf(young)).toEqual([1, 2, 0]);
  expect(await rowsOf(living.id)).toEqual([1, 0, 1]);
  const names = await world.owner<{ display_name: string }[]>`select display_name from brain.entities`;
  expect(names.map(({ display_name }) => display_name)).toEqual(["entity of the living"]);
  expect((await world.api(ada).get(`/memories/${old}/history`)).status).toBe(404);
  const { body: audit } = await world.api(ada).get(`/audit?target=${old}&size=1`);
  expect(audit.items[0]).toMatchObject({ action: "memory.purged", user: "system" });
});

test("what is restored before that mentions again what it did", async () => {
  const id = await deletedFor(ada, 29);
  await purge();
  await world.api(ada).post("/memories/actions/restore", { memory_ids: [id] });
  await purge();
  expect(await rowsOf(id)).toEqual([1, 3, 1]);
});

test("how long is the org's to set, and another org's is its own", async () => {
  for (const person of [ada, eve]) await world.api(person).post("/memories", { content: "first sight" });
  await world.owner`
    insert into brain.settings (org_id, settings, updated_by)
    values (app.org_key('acme'), '{"retention": {"deleted_days": 5, "recall_days": 2}}', 'ada')`;
  const [ours, theirs] = [await deletedFor(ada, 6), await deletedFor(eve, 6)];
  expect((await world.api(ada).post("/memories/actions/restore", { memory_ids: [ours] })).body.changed).toBe(0);
  const recall = (sub: string, days: number) => world.owner`
    insert into brain.memory_access_log (org_id, space_id, at, user_id, sub, app, kind, memory_ids)
    select org_id, spaces.id, now() - make_interval(days => ${days}), users.id, sub, 'rest', 'get', '{}'
    from brain.users join brain.spaces using (org_id) where sub = ${sub} and access_entity = 'user:' || sub`;
  for (const sub of ["ada", "eve"]) for (const days of [1, 3, 89, 91]) await recall(sub, days);
  await purge();
  expect([(await rowsOf(ours))[0], (await rowsOf(theirs))[0]]).toEqual([0, 1]);
  const left = await world.owner<{ sub: string; days: number }[]>`
    select sub, extract(day from now() - at)::int as days from brain.memory_access_log order by sub, at desc`;
  expect(left.map(({ sub, days }) => `${sub} ${days}`)).toEqual(["ada 1", "eve 1", "eve 3", "eve 89"]);
});

test("a backlog larger than one turn goes in one go, and two processes do not wait for each other", async () => {
  await world.api(ada).post("/memories", { content: "first sight" });
  await world.owner`
    insert into brain.memory_access_log (org_id, space_id, at, user_id, sub, app, kind, memory_ids)
    select org_id, spaces.id, now() - interval '100 days', users.id, sub, 'rest', 'get', '{}'
    from brain.users join brain.spaces using (org_id), generate_series(1, 2500)
    where sub = 'ada' and access_entity = 'user:ada' and org_id = app.org_key('acme')`;
  await Promise.all([purge(), purge()]);
  await purge();
  expect(await world.owner`select from brain.memory_access_log where at < now() - interval '90 days'`).toHaveLength(0);
});

test("what stays is looked at a few times at most, whatever the planner has been told", async () => {
  const rows = 5000;
  // The planner knows of eve's when ada's come: it takes hers for one.
  for (const person of [eve, ada]) {
    await world.api(person).post("/memories", { content: "first sight" });
    const [space] = await world.owner<{ org_id: string; id: number }[]>`
      select org_id, id from brain.spaces
      where access_entity = ${`user:${person.sub}`} and org_id = app.org_key(${person.org})`;
    const { org_id = "", id = 0 } = space ?? {};
    await world.owner`
      insert into brain.memory_access_log (org_id, space_id, at, user_id, sub, app, kind, memory_ids)
      select org_id, ${id}, now(), id, sub, 'rest', 'get', '{}'
      from brain.users, generate_series(1, ${rows}) where sub = ${person.sub} and org_id = ${org_id}`;
    await world.owner`
      insert into brain.jobs (org_id, kind, sub, space_id, payload, run_at)
      select ${org_id}, 'embed', ${person.sub}, ${id}, '{}', now() + case when n > 20 then interval '1 day' else '0' end
      from generate_series(1, ${rows}) as n`;
    if (person === eve) await world.owner`vacuum analyze brain.memory_access_log, brain.jobs`;
  }
  const read = await countedOf(
    world,
    async (sql) => {
      const [row] = await sql<{ read: number }[]>`
        select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::int as read
        from pg_stat_get_snapshot_timestamp() as cleared, pg_stat_user_tables
        where relid in ('brain.memory_access_log'::regclass, 'brain.jobs'::regclass)`;
      return row?.read ?? 0;
    },
    async (database) => {
      await database.purge(1000);
      expect(await database.claimJobs(5)).toHaveLength(5);
    },
  );
  expect(read).toBeGreaterThan(0);
  expect(read).toBeLessThan(rows * 6);
  await world.owner`delete from brain.jobs`;
});
