import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import postgres from "postgres";
import { writeBackup } from "../../src/ops/backup.ts";
import { backupKeyOf } from "../../src/ops/backup_key.ts";
import { restoreBackup, verifyBackup } from "../../src/ops/restore.ts";
import { EXIT } from "../../src/refusal.ts";
import { store } from "../support/aged.ts";
import { asDocumented } from "../support/documented.ts";
import { temporaryFolder } from "../support/folder.ts";
import { brain } from "../support/processes.ts";
import { freshDatabase, type TestDatabase } from "../support/server.ts";

const folder = temporaryFolder();
const data_dir = join(folder.path, "data");
let database: TestDatabase;
let file: string;

const env = () => ({
  OWNER_DATABASE_URL: database.owner_url,
  ROOT_DATABASE_URL: database.admin_url,
  BRAIN_DATA_DIR: data_dir,
});
const place = (of = database) => ({ owner_url: of.owner_url, root_url: of.admin_url });
const asked = async <T>(url: string, work: (sql: postgres.Sql) => Promise<T>) => {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  return work(sql).finally(() => sql.end());
};
const contents = () =>
  asked(database.owner_url, async (sql) =>
    (await sql`select content from brain.memories order by content`).map((row) => row.content),
  );
const besides = () =>
  asked(database.admin_url, async (sql) => {
    const name = new URL(database.owner_url).pathname.slice(1);
    return (await sql`select datname from pg_database where starts_with(datname, ${`${name}_`})`).map((row) =>
      String(row.datname),
    );
  });

const ODD = ["One.", "Two\twith a tab", "Three\\ back\nslash and line", "Four: \\N is not null, nor is None"];

beforeAll(async () => {
  database = await freshDatabase();
  await asked(database.owner_url, (sql) => store(sql, ODD));
  const { code, out, err } = await brain(["backup", "--json"], env());
  expect([code, err]).toEqual([0, ""]);
  file = JSON.parse(out).file;
}, 30_000);
afterAll(async () => {
  await asked(database.admin_url, async (sql) => {
    for (const name of await besides()) await sql`drop database ${sql(name)} with (force)`;
  });
  await database.drop();
  folder[Symbol.dispose]();
});

test("a backup is one file, for its owner alone, whose name and bytes hold no secret", () => {
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(statSync(join(data_dir, "backup.key")).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(data_dir, "backups")).length).toBe(1);
  const password = new URL(database.owner_url).password;
  const bytes = readFileSync(file);
  for (const secret of [password, readFileSync(join(data_dir, "backup.key"), "utf8").trim()]) {
    expect(file).not.toContain(secret);
    expect(bytes.includes(secret)).toBe(false);
  }
});

test("onto rows it refuses, telling what has changed since, and nothing is left of the attempt", async () => {
  await asked(database.owner_url, async (sql) => {
    await store(sql, ["Five.", "Six."]);
    await sql`update brain.memories set thread = 'later' where content = 'One.'`;
  });
  const { code, err } = await brain(["restore", file], env());
  expect(asDocumented("a restore would overwrite rows", { code, err })).toBe("as documented");
  expect(err).toContain("brain.memories: 2 added, 0 removed, 1 changed");
  expect(await besides()).toEqual([]);
  expect((await contents()).length).toBe(6);
}, 30_000);

test("with --replace it takes their place under the noses of sessions, and keeps the database that was there", async () => {
  const session = postgres(database.service_url, { max: 1, onnotice: () => {} });
  await session`select 1`;
  const { code, out } = await brain(["restore", file, "--replace", "--json"], env());
  const report = JSON.parse(out);
  expect({ code, report }).toMatchObject({
    code: 0,
    report: { rows: expect.any(Number), migration: expect.any(String) },
  });
  expect(await contents()).toEqual([...ODD].sort());
  expect(await besides()).toEqual([report.kept_as]);
  const [row] = await session`select current_database() as name`.catch(
    () => session`select current_database() as name`,
  );
  expect(`/${row?.name}`).toBe(new URL(database.owner_url).pathname);
  await session.end();
  const before = new URL(database.owner_url);
  before.pathname = `/${report.kept_as}`;
  expect((await asked(before.href, (sql) => sql`select from brain.memories`)).length).toBe(6);
  // What is restored can be served and migrated on.
  expect((await brain(["status"], env())).code).toBe(0);
  await asked(database.owner_url, (sql) => store(sql, ["Seven."]));
}, 30_000);

test("of another database it is refused, --replace or not; into one without rows it goes", async () => {
  const other = await freshDatabase();
  await asked(other.owner_url, async (sql) => {
    await sql`update ops.installation set id = gen_random_uuid()`;
    await store(sql, ["Somebody else's."]);
  });
  const options = { key: backupKeyOf(data_dir), replace: true };
  await expect(restoreBackup(place(other), file, options)).rejects.toMatchObject({
    exit: "backup_refused",
    message: expect.stringContaining("is of another database"),
  });
  await other.drop();
  const empty = await freshDatabase();
  const report = await restoreBackup(place(empty), file, { ...options, replace: false });
  expect(report).toMatchObject({ kept_as: null, changed_since: [] });
  expect((await asked(empty.owner_url, (sql) => sql`select from brain.memories`)).length).toBe(ODD.length);
  await empty.drop();
}, 30_000);

test("with the key of another data directory it is refused; without any it goes by the manifest", async () => {
  await expect(verifyBackup(place(), file, { key: backupKeyOf(join(folder.path, "other")) })).rejects.toMatchObject({
    exit: "backup_refused",
    message: expect.stringContaining("of another data directory"),
  });
  const left = `${new URL(database.owner_url).pathname.slice(1)}_scratch_20260101000000_dead`;
  await asked(database.admin_url, (sql) => sql`create database ${sql(left)}`);
  expect(await verifyBackup(place(), file, { key: null })).toMatchObject({ faults: [], by_hand: [] });
  // What a killed command has left is removed by the next.
  expect(await besides()).not.toContain(left);
}, 30_000);

test("what was stored past the rules of the schema is backed up and does not restore, and verify says so", async () => {
  const broken = await freshDatabase();
  await asked(broken.owner_url, async (sql) => {
    await store(sql, ["One."]);
    await sql`alter table brain.memories drop constraint memories_category_check`;
    await sql`alter table brain.memories disable trigger user`;
    await sql`update brain.memories set category = 'none of ours'`;
  });
  const of_broken = { ...env(), OWNER_DATABASE_URL: broken.owner_url };
  await writeBackup(broken.owner_url, { to: join(folder.path, "broken.zip"), key: backupKeyOf(data_dir) });
  const ended = await brain(["verify", join(folder.path, "broken.zip")], of_broken);
  expect(asDocumented("the backup does not restore", ended)).toBe("as documented");
  await broken.drop();
}, 30_000);

test("older backups go when the new one is there, and no others", async () => {
  const to = join(folder.path, "kept");
  const name = new URL(database.owner_url).pathname.slice(1);
  for (const of of [name, "somebody-else"]) await Bun.write(join(to, `${of}-000001-20200101T000000000Z.zip`), "x");
  const { code, out } = await brain(["backup", "--to", to, "--keep", "1", "--json"], env());
  const { file: newest, removed } = JSON.parse(out);
  expect({ code, removed }).toEqual({ code: 0, removed: [join(to, `${name}-000001-20200101T000000000Z.zip`)] });
  expect(readdirSync(to).sort()).toEqual([basename(newest), "somebody-else-000001-20200101T000000000Z.zip"].sort());
}, 30_000);

test("verify wants one thing to look at", async () => {
  expect((await brain(["verify"], env())).code).toBe(EXIT.usage);
});
