import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import postgres from "postgres";
import { committedMigrations } from "../../src/ops/committed.ts";
import { migrateDatabase } from "../../src/ops/migrate.ts";
import { newestMigration } from "../../src/ops/migration_files.ts";
import { planRollback, rollBack } from "../../src/ops/rollback.ts";
import { EXIT } from "../../src/refusal.ts";
import { brain, spawnBrain } from "../support/processes.ts";
import { schemaOf } from "../support/schema.ts";
import { seed } from "../support/seeds.ts";
import { emptyDatabase, freshDatabase, type TestDatabase } from "../support/server.ts";
import { ada, openWorld } from "../support/world.ts";

const NEWEST = newestMigration().slice(0, 6);
/** The newest migration that makes tables whose rows nothing else tells. */
const VECTORS = "000009";

let database: TestDatabase;
let owner: postgres.Sql;
const use = (given: TestDatabase) => {
  database = given;
  owner = postgres(database.owner_url, { max: 2, onnotice: () => {} });
};
const drop = async () => {
  await owner.end();
  await database.drop();
};
beforeEach(async () => use(await freshDatabase()));
afterEach(drop);

const rollback = (...args: string[]) => brain(["rollback", ...args], { OWNER_DATABASE_URL: database.owner_url });
const newest = async () => (await owner`select max(filename) as name from graphile_migrate.migrations`)[0]?.name;
const loss = async () => (await planRollback(database.owner_url)).rows_at_risk;
/** Goes on in a database from which what came after VECTORS was taken back: once, and then copied. */
async function goToVectors() {
  taken_back ??= takeBack();
  const copy = await emptyDatabase(new URL((await taken_back).owner_url).pathname.slice(1));
  await drop();
  use(copy);
}
let taken_back: Promise<TestDatabase> | undefined;
async function takeBack() {
  const { owner_url, ...taken } = await freshDatabase();
  for (const { filename } of committedMigrations().reverse())
    if (filename > `${VECTORS}.sql`)
      await rollBack(owner_url, filename.slice(0, 6), (await planRollback(owner_url)).rows_at_risk);
  return { owner_url, ...taken };
}
afterAll(async () => (await taken_back)?.drop());
/** The migration before another. */
const before = (number: string) =>
  committedMigrations().findLast(({ filename }) => filename < `${number}.sql`)?.filename;

describe("the plan", () => {
  test("names the migration, the ways, the rows of each table, and the command; and changes nothing", async () => {
    await goToVectors();
    await seed(owner, Number(VECTORS));
    const schema = await schemaOf(owner);
    const { code, out } = await rollback("--plan", "--json");
    const plan = JSON.parse(out);
    const [counts] = await owner<Record<string, number>[]>`
      select (select count(*)::int from brain.jobs) as jobs, (select count(*)::int from brain.embedding_spaces) as spaces,
             (select count(*)::int from brain.memory_embeddings) as vectors`;
    const { jobs = 0, spaces = 0, vectors = 0 } = counts ?? {};
    expect(Math.min(jobs, spaces, vectors)).toBeGreaterThan(0);
    expect({ code, plan }).toMatchObject({
      code: 0,
      plan: {
        migration: "000009-jobs-and-vectors.sql",
        advised: "R0", // what comes after is missing
        at_risk: [
          { table: "brain.jobs", rows: jobs },
          { table: "brain.embedding_spaces", rows: spaces },
          { table: "brain.memory_embeddings", rows: vectors },
        ],
        rows_at_risk: jobs + spaces + vectors,
        command: `brain rollback 000009 --accept-data-loss ${jobs + spaces + vectors}`,
        connections: 0,
      },
    });
    expect(await schemaOf(owner)).toEqual(schema);
  });

  test("in words; and of a database without a migration", async () => {
    const { out } = await rollback("--plan");
    expect(out).toContain("R0 does not apply");
    expect(out).toContain(`R2 applies (advised): \`brain rollback ${NEWEST} --accept-data-loss ${await loss()}\``);
    const empty = await emptyDatabase();
    const { code, out: nothing } = await brain(["rollback", "--plan", "--json"], {
      OWNER_DATABASE_URL: empty.owner_url,
    });
    expect({ code, plan: JSON.parse(nothing) }).toMatchObject({
      code: 0,
      plan: { migration: null, advised: "R0", command: null, at_risk: [] },
    });
    await empty.drop();
  });
});

describe("every way to end", () => {
  test("done: the schema, what graphile-migrate records and readiness agree; run twice it is refused", async () => {
    const rows = await loss();
    const { code, out } = await rollback(NEWEST, "--accept-data-loss", String(rows), "--json");
    expect({ code, done: JSON.parse(out) }).toMatchObject({ code: 0, done: { rows_lost: rows } });
    expect(await newest()).toBe(before(NEWEST));
    const again = await rollback(NEWEST, "--accept-data-loss", String(rows));
    expect(again).toMatchObject({ code: EXIT.nothing_to_roll_back });
    expect(again.err).toContain(`The newest migration is ${before(NEWEST)}, not ${NEWEST}.sql.`);
    expect(await newest()).toBe(before(NEWEST));
  });

  test("loss_not_accepted: no number, or another than there would be", async () => {
    expect(await rollback(NEWEST)).toMatchObject({ code: EXIT.loss_not_accepted });
    const other = String((await loss()) + 1);
    expect(await rollback(NEWEST, "--accept-data-loss", other)).toMatchObject({ code: EXIT.loss_not_accepted });
    expect(String((await loss()) + 1)).toBe(other); // being refused is no row either
    await goToVectors();
    await seed(owner, Number(VECTORS));
    const schema = await schemaOf(owner);
    const { code, err } = await rollback(VECTORS, "--accept-data-loss", "0");
    expect({ code, err }).toEqual({ code: EXIT.loss_not_accepted, err: expect.stringContaining("of brain.jobs") });
    expect(await schemaOf(owner)).toEqual(schema);
  });

  test("usage: no migration, both, no number", async () => {
    expect(await rollback("--accept-data-loss", "0")).toMatchObject({ code: EXIT.usage });
    expect(await rollback(NEWEST, "--plan", "--accept-data-loss", "0")).toMatchObject({ code: EXIT.usage });
    expect(await rollback("12", "--accept-data-loss", "all")).toMatchObject({ code: EXIT.usage });
  });

  test("database_busy: somebody holds a table", async () => {
    await goToVectors();
    const held = await owner.reserve();
    await held`begin`;
    await held`lock table brain.jobs in access share mode`;
    const { code, err } = await rollback(VECTORS, "--accept-data-loss", "0");
    await held`rollback`;
    held.release();
    expect({ code, err }).toEqual({
      code: EXIT.database_busy,
      err: "Another transaction holds the tables; stop the service and try again.\n",
    });
    expect(await newest()).toBe(`${VECTORS}.sql`);
  }, 30_000);

  test("rollback_failed: something made by hand depends on what goes; nothing has changed", async () => {
    await goToVectors();
    await owner`create view public.mine as select id from brain.jobs`;
    const schema = await schemaOf(owner);
    const { code, err } = await rollback(VECTORS, "--accept-data-loss", "0");
    expect({ code, err }).toEqual({
      code: EXIT.rollback_failed,
      err: expect.stringContaining("view mine depends on table brain.jobs"),
    });
    expect(await schemaOf(owner)).toEqual(schema);
  });

  test("owner_refused: as the service's role", async () => {
    const service = { OWNER_DATABASE_URL: database.service_url };
    expect(await brain(["rollback", "--plan"], service)).toMatchObject({ code: EXIT.owner_refused });
    expect(await brain(["rollback", NEWEST, "--accept-data-loss", "0"], service)).toMatchObject({
      code: EXIT.owner_refused,
    });
  });

  test("drifted: the schema is not as the last run left it", async () => {
    await owner`alter table brain.memories add column mine text`;
    const { code, err } = await rollback(NEWEST, "--accept-data-loss", String(await loss()));
    expect({ code, err }).toEqual({
      code: EXIT.drifted,
      err: expect.stringContaining("brain.memories.mine was added"),
    });
    expect(await newest()).toBe(`${NEWEST}.sql`);
  });

  test("newer_version and database_unreachable", async () => {
    await owner`insert into graphile_migrate.migrations (hash, filename) values ('x', '999999.sql')`;
    expect(await rollback("--plan")).toMatchObject({ code: EXIT.newer_version });
    expect(await rollback("999999", "--accept-data-loss", "0")).toMatchObject({ code: EXIT.newer_version });
    const away = { OWNER_DATABASE_URL: "postgres://brain_owner:x@127.0.0.1:1/coding_brain" };
    expect(await brain(["rollback", "--plan"], away)).toMatchObject({ code: EXIT.database_unreachable });
  });
});

test("two at once: one takes it back, the other finds it gone", async () => {
  const rows = await loss();
  const both = await Promise.allSettled([1, 2].map(() => rollBack(database.owner_url, NEWEST, rows)));
  expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  expect(await newest()).toBe(before(NEWEST));
});

test("with a migration under way it waits, and then is refused", async () => {
  await rollBack(database.owner_url, NEWEST, await loss());
  const [forward, back] = await Promise.allSettled([
    migrateDatabase(database.owner_url),
    rollBack(database.owner_url, before(NEWEST)?.slice(0, 6) ?? "", 0),
  ]);
  expect(forward.status).toBe("fulfilled");
  // Whichever came first, the other did its work afterwards, on what it found.
  if (back.status === "rejected") expect(["nothing_to_roll_back", "loss_not_accepted"]).toContain(back.reason.exit);
  expect(await newest()).toBe(`${NEWEST}.sql`);
});

test("a row written after the plan: nothing is taken back, the row is there", async () => {
  await goToVectors();
  await owner`insert into brain.orgs (org_id, name) values (app.org_key('late'), 'late')`;
  const held = await owner.reserve();
  await held`begin`;
  await held`insert into brain.embedding_spaces (org_id, id, model, dimensions, state) values (app.org_key('late'), 1, 'm', 8, 'active')`;
  const back = rollBack(database.owner_url, VECTORS, 0); // waits for the writer
  await waitsForLock();
  await held`commit`;
  held.release();
  await expect(back).rejects.toMatchObject({ exit: "loss_not_accepted" });
  expect(await owner`select model from brain.embedding_spaces`).toHaveLength(1);
});

test("kill -9 in the middle leaves everything as it was, and no lock", async () => {
  await goToVectors();
  const schema = await schemaOf(owner);
  const held = await owner.reserve();
  await held`begin`;
  await held`lock table brain.memory_embeddings in access share mode`; // the last table that it locks
  const command = spawnBrain(["rollback", VECTORS, "--accept-data-loss", "0"], {
    OWNER_DATABASE_URL: database.owner_url,
  });
  await waitsForLock();
  command.kill("SIGKILL");
  await command.exited;
  await held`rollback`;
  held.release();
  expect(await newest()).toBe(`${VECTORS}.sql`);
  expect(await schemaOf(owner)).toEqual(schema);
  await rollBack(database.owner_url, VECTORS, 0);
  expect(await newest()).toBe(before(VECTORS));
}, 20_000);

/** Until some session of the database waits for a lock on a table. */
async function waitsForLock() {
  const waiting = () => owner`select from pg_locks where not granted and locktype = 'relation'
                                and database = (select oid from pg_database where datname = current_database())`;
  while ((await waiting()).length === 0) await Bun.sleep(10);
}

test("with the service connected: it says that it is not ready, loses nothing, and goes on when migrated again", async () => {
  const world = await openWorld();
  const { body: stored } = await world.api(ada).post("/memories", { content: "Before the rollback." });
  const { code, out } = await brain(["rollback", "--plan"], { OWNER_DATABASE_URL: world.urls.owner_url });
  expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(/\d+ connections of the service are open/) });
  const { rows_at_risk } = await planRollback(world.urls.owner_url);
  await rollBack(world.urls.owner_url, NEWEST, rows_at_risk);
  expect(await world.raw("/health/ready")).toMatchObject({ status: 503 });
  await migrateDatabase(world.urls.owner_url);
  expect(await world.raw("/health/ready")).toMatchObject({ status: 200 });
  expect((await world.api(ada).get(`/memories/${stored.id}`)).body.content).toBe("Before the rollback.");
  await world.close();
});

test("under writers: down to 000010 and up again, it is done or refused; no memory that was answered is lost", async () => {
  const world = await openWorld();
  const url = world.urls.owner_url;
  const answered: string[] = [];
  let is_over = false;
  const writer = async (name: number) => {
    for (let turn = 0; !is_over; turn++) {
      const { status, body } = await world.api(ada).post("/memories", { content: `Writer ${name}, turn ${turn}.` });
      if (status === 201) answered.push(body.id);
      else expect([500, 503]).toContain(status); // its schema is gone from under it
    }
  };
  const writers = [1, 2, 3].map(writer);
  const refused: unknown[] = [];
  while (await isAbove(world.owner, "000010.sql")) {
    const { command } = await planRollback(url);
    const [, number = "", rows] = /rollback (\d{6}) --accept-data-loss (\d+)$/.exec(command ?? "") ?? [];
    await rollBack(url, number, Number(rows)).catch((error: { exit?: string }) => refused.push(error.exit));
  }
  await migrateDatabase(url).finally(() => {
    is_over = true;
  });
  await Promise.all(writers);
  expect(refused.filter((exit) => exit !== "database_busy" && exit !== "loss_not_accepted")).toEqual([]);
  const kept = await world.owner`select id from brain.memories where id = any (${answered}::uuid[])`;
  expect(answered.length).toBeGreaterThan(0);
  expect(kept.length).toBe(answered.length);
  expect(await world.raw("/health/ready")).toMatchObject({ status: 200 });
  await world.close();
}, 60_000);

const isAbove = async (sql: postgres.Sql, filename: string) =>
  (await sql`select from graphile_migrate.migrations where filename > ${filename}`).length > 0;
