import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { backupKeyOf } from "../../src/ops/backup_key.ts";
import { openBackup } from "../../src/ops/backup_read.ts";
import { newestMigration } from "../../src/ops/migration_files.ts";
import { takeSnapshot } from "../../src/ops/snapshot.ts";
import { EXIT } from "../../src/refusal.ts";
import { agedDatabase } from "../support/aged.ts";
import { temporaryFolder } from "../support/folder.ts";
import { brain, spawnBrain } from "../support/processes.ts";
import { emptyDatabase, type TestDatabase } from "../support/server.ts";

/**
 * Migrations, backups and restores that are killed, find no room, or have a million memories to carry: by hand,
 * `bun run test:long`. On two cores, with the test server (no fsync) and other work beside it.
 */
const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

const operator = (database: TestDatabase, data_dir: string) => ({
  OWNER_DATABASE_URL: database.owner_url,
  ROOT_DATABASE_URL: database.admin_url,
  BRAIN_DATA_DIR: data_dir,
});
const asked = async <T>(url: string, work: (sql: postgres.Sql) => Promise<T>) => {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  return work(sql).finally(() => sql.end({ timeout: 1 }));
};
const nameOf = ({ owner_url }: TestDatabase) => new URL(owner_url).pathname.slice(1);
const besides = (database: TestDatabase, what: string) =>
  asked(database.admin_url, async (sql) => {
    const rows =
      await sql`select datname from pg_database where starts_with(datname, ${`${nameOf(database)}_${what}`})`;
    return rows.map(({ datname }) => String(datname));
  });

/**
 * Memories of ada's of five words each, with the terms they are found by, written past the triggers and in the order of
 * their keys: 6 rows for each.
 */
async function fill(database: TestDatabase, memories: number) {
  await asked(database.owner_url, async (sql) => {
    await sql`select app.provision('acme', 'ada', '{}', '{}', 'rest')`;
    const indexes = await sql<{ name: string; made: string }[]>`
      select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as made from pg_index
      where indrelid = 'brain.memories'::regclass and not exists (select from pg_constraint where conindid = indexrelid)`;
    for (const { name } of indexes) await sql.unsafe(`drop index ${name}`);
    for (const table of ["memories", "memory_terms"])
      await sql.unsafe(`alter table brain.${table} disable trigger user`);
    await sql`
      insert into brain.memories (org_id, id, space_id, owner_id, owner, app_id, app, content, updated_by)
      select users.org_id, lpad(to_hex(n), 32, '0')::uuid, spaces.id, users.id, sub, apps.id, 'rest',
             concat_ws(' ', 'note', n, 'of', md5(n::text), md5((n / 7)::text)), sub
      from brain.users
      join brain.apps on owner_id = users.id
      join brain.spaces on spaces.org_id = users.org_id,
           generate_series(1, ${memories}::int) as n`;
    await sql`
      insert into brain.memory_terms (org_id, space_id, term, memory_id, earned)
      select distinct org_id, space_id, term collate "C", id, 0.5
      from brain.memories, regexp_split_to_table(content, ' ') as term
      order by 1, 2, 3, 4`;
    for (const table of ["memories", "memory_terms"])
      await sql.unsafe(`alter table brain.${table} enable trigger user`);
    for (const { made } of indexes) await sql.unsafe(made);
    await sql`analyze`;
  });
}

/** What tenants have stored, as one text. */
const stored = (database: TestDatabase) =>
  asked(database.owner_url, async (sql) => {
    const { tables } = await sql.begin((tx) => takeSnapshot(tx));
    return JSON.stringify([tables["brain.memories"], tables["brain.memory_terms"]]);
  });

const STEPS = 12;

/** Runs a command to its end to know how long it takes, then again and again, killed each time a step later. */
async function killedAtEachStep(
  args: readonly string[],
  env: Record<string, string>,
  { before, after }: { before: () => Promise<unknown>; after: (step: string) => Promise<unknown> },
) {
  await before();
  const began = performance.now();
  expect(await spawnBrain([...args], env).exited).toBe(0);
  const took = performance.now() - began;
  for (let step = 1; step <= STEPS; step++) {
    await before();
    const command = spawnBrain([...args], env);
    await Promise.race([command.exited, Bun.sleep((took * step) / (STEPS + 1))]);
    command.kill("SIGKILL");
    await command.exited;
    await after(`killed after ${((took * step) / (STEPS + 1)).toFixed(0)} of ${took.toFixed(0)} ms`);
  }
}

/** Every file under a final name is whole. */
async function expectWholeBackups(data_dir: string) {
  const names = readdirSync(join(data_dir, "backups")).filter((name) => !name.startsWith("."));
  for (const name of names) {
    await using backup = await openBackup(join(data_dir, "backups", name), backupKeyOf(data_dir));
    expect(backup.manifest.key_id).toBe(backupKeyOf(data_dir).id);
  }
}

describe("kill -9", () => {
  test("of a migration at each step: before or after, never between; the next run completes", async () => {
    const data_dir = join(folder.path, "migrate");
    mkdirSync(join(data_dir, "backups"), { recursive: true });
    const template = await agedDatabase("000012");
    await fill(template, 20_000);
    const whole = await stored(template);
    let database = template;
    const env: Record<string, string> = operator(database, data_dir);
    await killedAtEachStep(["migrate"], env, {
      async before() {
        if (database !== template) await database.drop();
        database = await copyOf(template);
        Object.assign(env, operator(database, data_dir));
      },
      async after(step) {
        const newest = await asked(
          database.owner_url,
          (sql) => sql`select max(filename) as at from graphile_migrate.migrations`,
        );
        expect({ step, at: ["000012.sql", newestMigration()].includes(newest[0]?.at) }).toEqual({ step, at: true });
        expect({ step, stored: await stored(database) }).toEqual({ step, stored: whole });
        await expectWholeBackups(data_dir);
        expect({ step, code: (await brain(["migrate"], env)).code }).toEqual({ step, code: 0 });
        expect({ step, code: (await brain(["status"], env)).code }).toEqual({ step, code: 0 });
        expect(await besides(database, "scratch")).toEqual([]);
        expect(readdirSync(join(data_dir, "backups")).filter((name) => name.startsWith("."))).toEqual([]);
      },
    });
    await database.drop();
    await template.drop();
  }, 900_000);

  test("of a backup and of a restore at each step: no half file, and one whole database; the next completes", async () => {
    const data_dir = join(folder.path, "backup");
    mkdirSync(join(data_dir, "backups"), { recursive: true });
    const database = await agedDatabase("000013");
    await fill(database, 20_000);
    const env = operator(database, data_dir);
    await killedAtEachStep(["backup"], env, {
      before: async () => {},
      async after() {
        await expectWholeBackups(data_dir);
      },
    });
    const old = await stored(database);
    const { out } = await brain(["backup", "--json"], env);
    expect(readdirSync(join(data_dir, "backups")).filter((name) => name.startsWith("."))).toEqual([]);
    await asked(database.owner_url, (sql) => sql`update brain.memory_terms set earned = 0.25 where term = 'note'`);
    const later = await stored(database);
    expect(later).not.toBe(old);
    await killedAtEachStep(["restore", JSON.parse(out).file, "--replace"], env, {
      before: async () => {},
      async after(step) {
        expect({ step, is_one: [old, later].includes(await stored(database)) }).toEqual({ step, is_one: true });
      },
    });
    expect((await brain(["restore", JSON.parse(out).file, "--replace"], env)).code).toBe(0);
    expect(await stored(database)).toBe(old);
    expect(await besides(database, "restoring")).toEqual([]);
    for (const name of await besides(database, "before"))
      await asked(database.admin_url, (sql) => sql`drop database ${sql(name)} with (force)`);
    await database.drop();
  }, 900_000);
});

test.if(process.getuid?.() === 0)(
  "a disk that is full during the backup: it says so, nothing is left, the next run completes",
  async () => {
    const database = await agedDatabase("000012");
    await fill(database, 20_000);
    const data_dir = join(folder.path, "small");
    mkdirSync(data_dir);
    expect(Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", data_dir]).success).toBe(true);
    try {
      const env = operator(database, data_dir);
      for (const command of ["backup", "migrate"]) {
        const { code, err } = await brain([command], env);
        expect({ code, err }).toEqual({ code: EXIT.no_space, err: expect.stringContaining("The disk is full") });
        expect(readdirSync(join(data_dir, "backups"))).toEqual([]);
      }
      Bun.spawnSync(["mount", "-o", "remount,size=200m", data_dir]);
      expect((await brain(["migrate"], env)).code).toBe(0);
    } finally {
      Bun.spawnSync(["umount", "-l", data_dir]);
    }
    await database.drop();
  },
  300_000,
);

test("a million memories are backed up, verified and migrated in flat memory", async () => {
  const data_dir = join(folder.path, "million");
  const database = await agedDatabase("000012");
  const began = performance.now();
  await fill(database, 1_000_000);
  console.log(`filled in ${((performance.now() - began) / 1000).toFixed(0)} s`);
  const env = operator(database, data_dir);
  const made = JSON.parse(await weighed("backup", ["backup", "--json"], env));
  console.log(`${made.rows} rows, ${(made.bytes / 1e6).toFixed(0)} MB`);
  await weighed("verify", ["verify", made.file, "--json"], env);
  await weighed("migrate --no-backup", ["migrate", "--no-backup", "--json"], env);
  await weighed("restore --replace", ["restore", made.file, "--replace", "--json"], env);
  for (const name of await besides(database, "before"))
    await asked(database.admin_url, (sql) => sql`drop database ${sql(name)} with (force)`);
  await weighed("migrate, with its backup", ["migrate", "--json"], env);
  await database.drop();
}, 3_600_000);

/** Runs a command, says how long it took and how much memory its process had at most, and gives what it printed. */
async function weighed(what: string, args: string[], env: Record<string, string>): Promise<string> {
  const began = performance.now();
  const command = spawnBrain(args, env);
  let most = 0;
  const timer = setInterval(() => {
    const told = /VmHWM:\s+(\d+) kB/.exec(statusFile(command.pid))?.[1];
    if (told) most = Number(told) / 1000;
  }, 50);
  const out = await new Response(command.stdout).text();
  expect(await command.exited).toBe(0);
  clearInterval(timer);
  console.log(`${what}: ${((performance.now() - began) / 1000).toFixed(1)} s, at most ${most.toFixed(0)} MB`);
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThan(300);
  return out;
}

function statusFile(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return ""; // it has ended
  }
}

/** The same rows in a database of its own. */
function copyOf(template: TestDatabase): Promise<TestDatabase> {
  return emptyDatabase(nameOf(template));
}
