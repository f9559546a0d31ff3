import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeBackup } from "../../src/ops/backup.ts";
import { backupKeyOf } from "../../src/ops/backup_key.ts";
import { openBackup } from "../../src/ops/backup_read.ts";
import { newestMigration } from "../../src/ops/migration_files.ts";
import { EXIT, Refusal } from "../../src/refusal.ts";
import { agedDatabase, store } from "../support/aged.ts";
import { asDocumented } from "../support/documented.ts";
import { appliedTo, asOwner, contentsOf, openOperator } from "../support/operator.ts";
import { brain } from "../support/processes.ts";
import { emptyDatabase, freshDatabase, type TestDatabase } from "../support/server.ts";

const operator = openOperator();
const { kept } = operator;
afterAll(() => operator[Symbol.asyncDispose]());

const backUp = (database: TestDatabase, to: string, data_dir?: string) =>
  writeBackup(database.owner_url, { to, key: backupKeyOf(operator.env(database, data_dir).BRAIN_DATA_DIR) });

describe("a database of an earlier release, with rows", () => {
  let database: TestDatabase;
  let other: TestDatabase;
  const env = () => operator.env(database);
  const good = join(operator.path, "good.zip");
  beforeAll(async () => {
    [database, other] = await Promise.all([
      kept(agedDatabase("000012", ["We deploy on Thursdays.", "Ports below 1024 are not ours."])),
      kept(agedDatabase("000012", ["Somebody else's."])),
    ]);
    const made = await brain(["backup", "--to", good, "--json"], env());
    expect([made.code, made.err]).toEqual([0, ""]);
  }, 30_000);

  test("status says that it is behind, with a code of its own", async () => {
    const { code, out } = await brain(["status", "--json"], env());
    expect(code).toBe(EXIT.schema_behind);
    expect(JSON.parse(out)).toMatchObject({
      state: "behind",
      migration: "000012.sql",
      newest: newestMigration(),
      drift: [],
    });
  });

  test("each bad backup is refused by name, and the schema is not touched", async () => {
    const whole = readFileSync(good);
    const bad = (name: string, bytes: Uint8Array) => {
      const file = join(operator.path, `${name}.zip`);
      writeFileSync(file, bytes);
      return file;
    };
    const flipped = (at: number) => {
      const copy = Buffer.from(whole);
      copy[at] = (copy[at] ?? 0) ^ 1;
      return copy;
    };
    const foreign = join(operator.path, "foreign.zip");
    await backUp(other, foreign, "elsewhere");
    const cases = [
      [join(operator.path, "nowhere.zip"), "the backup is missing"],
      [bad("empty", new Uint8Array()), "the backup is empty"],
      [bad("truncated", whole.subarray(0, whole.length - 200)), "the backup is truncated"],
      [bad("half", whole.subarray(0, whole.length / 2)), "the backup is truncated"],
      [bad("flipped-early", flipped(400)), "a bit of the backup has changed"],
      [bad("flipped-late", flipped(whole.length - 150)), "a bit of the backup has changed"],
      [bad("flipped-seal", flipped(whole.length - 1)), "a bit of the backup has changed"],
      [foreign, "the backup is of another data directory"],
    ] as const;
    for (const [file, day] of cases) {
      const refusal = await openBackup(file, backupKeyOf(env().BRAIN_DATA_DIR)).then(String, (error: Refusal) => error);
      if (!(refusal instanceof Refusal)) throw new Error(`${file} was taken for whole`);
      expect(asDocumented(day, { code: EXIT[refusal.exit], err: refusal.message })).toBe("as documented");
    }
    const { code, out, err } = await brain(["migrate", "--backup", cases[0][0], "--json"], env());
    expect({ code, err }).toEqual({ code: EXIT.backup_refused, err: expect.stringContaining("is missing") });
    expect(JSON.parse(out)).toEqual({ refused: "backup_refused", message: err.trim() });
    expect(await appliedTo(database)).toBe("000012.sql");
  }, 60_000);

  test("what is no archive is no backup", async () => {
    const file = join(operator.path, "text.zip");
    writeFileSync(
      file,
      "not an archive at all, and longer than the seal of one would be, so that its end is looked at".repeat(2),
    );
    await expect(openBackup(file, null)).rejects.toThrow("is truncated, or is no backup");
  });

  test("a backup of another database is refused", async () => {
    const one = await kept(freshDatabase());
    const file = join(operator.path, "of-one.zip");
    await backUp(one, file);
    const ended = await brain(["migrate", "--backup", file], env());
    expect(asDocumented("the backup is of another database", ended)).toBe("as documented");
    expect(await appliedTo(database)).toBe("000012.sql");
  }, 30_000);

  test("a backup that is stale is refused, naming what changed", async () => {
    const stale = await kept(agedDatabase("000012", ["First."]));
    const file = join(operator.path, "stale.zip");
    await backUp(stale, file);
    await asOwner(stale, (sql) => store(sql, ["Second."]));
    const ended = await brain(["migrate", "--backup", file], operator.env(stale));
    expect(asDocumented("the backup is stale", ended)).toBe("as documented");
    expect(await appliedTo(stale)).toBe("000012.sql");
  }, 30_000);

  test("an owner who may make no databases, without an administrator, is told what to do", async () => {
    const { ROOT_DATABASE_URL: _, ...alone } = env();
    const ended = await brain(["migrate"], alone);
    expect(asDocumented("nobody may make a database for the proof", ended)).toBe("as documented");
  });

  test("the service's role is refused before anything is looked at", async () => {
    const ended = await brain(["migrate"], { ...env(), OWNER_DATABASE_URL: database.service_url });
    expect(asDocumented("the role is not the owner", ended)).toBe("as documented");
  });

  test("is migrated after a backup that was restored once, and it is recorded", async () => {
    const before = await contentsOf(database);
    const { code, out, err } = await brain(["migrate", "--json"], env());
    expect({ code, err }).toEqual({ code: 0, err: expect.stringContaining("restored from it once") });
    const report = JSON.parse(out);
    expect(report).toMatchObject({
      from: "000012.sql",
      to: newestMigration(),
      before: { tables: { "brain.memories": { rows: 2 } } },
    });
    expect(report.after.tables).toEqual(report.before.tables);
    expect(statSync(report.backup).mode & 0o777).toBe(0o600);
    expect(await contentsOf(database)).toEqual(before);
    const runs = await asOwner(
      database,
      (sql) => sql`select kind, from_migration, to_migration, result, backup, without_backup from ops.migration_runs`,
    );
    expect([...runs]).toEqual([
      {
        kind: "migrate",
        from_migration: "000012.sql",
        to_migration: newestMigration(),
        result: "done",
        backup: report.backup,
        without_backup: false,
      },
    ]);
    expect((await brain(["status"], env())).code).toBe(0);
    const left = await asOwner(
      database,
      (sql) =>
        sql`select datname from pg_database where datname like ${`%${new URL(database.owner_url).pathname.slice(1)}_scratch%`}`,
    );
    expect([...left]).toEqual([]);
  }, 30_000);

  test("without a backup it says so in the record", async () => {
    expect((await brain(["migrate", "--no-backup"], operator.env(other))).code).toBe(0);
    const [run] = await asOwner(other, (sql) => sql`select without_backup, backup from ops.migration_runs`);
    expect(run).toEqual({ without_backup: true, backup: null });
  }, 30_000);
});

test("an empty database is migrated without a backup, by two runners at once", async () => {
  const database = await kept(emptyDatabase());
  const runs = await Promise.all([
    brain(["migrate"], operator.env(database, "none")),
    brain(["migrate"], operator.env(database, "none")),
  ]);
  expect(runs.map(({ code }) => code)).toEqual([0, 0]);
  expect(readdirSync(operator.path)).not.toContain("none");
  const recorded = await asOwner(database, (sql) => sql`select kind, result, without_backup from ops.migration_runs`);
  expect([...recorded]).toEqual([{ kind: "migrate", result: "done", without_backup: false }]);
}, 30_000);
