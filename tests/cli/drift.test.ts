import { afterAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { calculateHash } from "graphile-migrate/dist/hash.js";
import { backupFor } from "../../src/ops/before_migrating.ts";
import { committedMigrations } from "../../src/ops/committed.ts";
import { migrateDatabase } from "../../src/ops/migrate.ts";
import { statusOf } from "../../src/ops/status.ts";
import { EXIT } from "../../src/refusal.ts";
import { agedDatabase, store } from "../support/aged.ts";
import { asDocumented } from "../support/documented.ts";
import { appliedTo, asOwner, contentsOf, openOperator } from "../support/operator.ts";
import { brain } from "../support/processes.ts";
import { freshDatabase } from "../support/server.ts";

const operator = openOperator();
const { kept } = operator;
afterAll(() => operator[Symbol.asyncDispose]());

describe("drift", () => {
  test("what was changed by hand is named, and can be taken as it is", async () => {
    const database = await kept(freshDatabase());
    const env = operator.env(database);
    await asOwner(database, (sql) => sql`create index by_hand on brain.memories (org_id, thread, id)`);
    const ended = await brain(["migrate"], env);
    expect(asDocumented("the schema was changed by hand", ended)).toBe("as documented");
    expect(ended.err).toContain("index brain.by_hand was added");
    expect(await statusOf(database.owner_url, env.BRAIN_DATA_DIR)).toMatchObject({
      state: "drifted",
      drift: ["index brain.by_hand was added"],
    });
    expect((await brain(["migrate", "--accept-drift"], env)).code).toBe(0);
    expect(await statusOf(database.owner_url, env.BRAIN_DATA_DIR)).toMatchObject({ state: "up to date", drift: [] });
  }, 30_000);

  test("what was changed by hand before runs were recorded shows when the backup is proved", async () => {
    const database = await kept(agedDatabase("000012", ["One."]));
    await asOwner(database, (sql) => sql`create index by_hand on brain.memories (org_id, thread, id)`);
    const {
      OWNER_DATABASE_URL: owner_url,
      ROOT_DATABASE_URL: root_url,
      BRAIN_DATA_DIR: data_dir,
    } = operator.env(database);
    const migrated = migrateDatabase(owner_url, { backUp: backupFor({ owner_url, root_url }, { data_dir }) });
    await expect(migrated).rejects.toMatchObject({
      exit: "drifted",
      message: expect.stringContaining("index brain.by_hand was added"),
    });
    expect(await appliedTo(database)).toBe("000012.sql");
  }, 30_000);

  test("an edited committed file, and an edited sql/ file without a commit, are named", async () => {
    const database = await kept(freshDatabase());
    const release = operator.release("edited");
    const edit = (file: string) =>
      writeFileSync(join(release.path, file), `${readFileSync(join(release.path, file), "utf8")}-- edited\n`);
    edit("sql/memories.sql");
    const uncommitted = await release.migrate(operator.env(database));
    expect(uncommitted).toEqual({
      code: EXIT.drifted,
      err: expect.stringContaining("sql/memories.sql was edited since"),
    });
    const [first] = readdirSync(join(release.path, "migrations/committed")).sort();
    edit(`migrations/committed/${first}`);
    const edited = await release.migrate(operator.env(database));
    expect(asDocumented("a committed migration was edited", edited)).toBe("as documented");
    expect(edited.err).toContain(`${first} was edited`);
  }, 30_000);
});

test("a release whose migration is wrong ends as documented, and nothing of it stays", async () => {
  const database = await kept(freshDatabase());
  await asOwner(database, (sql) => store(sql, ["One.", "Two."]));
  const release = operator.release("wrong");
  const previous = committedMigrations().at(-1)?.hash ?? "";
  for (const [day, body] of [
    ["a migration deletes what it does not declare", "delete from brain.memories where content = 'One.';"],
    ["a migration leaves a table open", "create table brain.open (org_id uuid not null);"],
    ["a statement of a migration fails", "select nothing.at_all();"],
  ] as const) {
    const text = `--! Previous: ${previous}\n--! Hash: ${calculateHash(body, previous)}\n\n${body}\n`;
    writeFileSync(join(release.path, "migrations/committed/999999-wrong.sql"), text);
    const ended = await release.migrate(operator.env(database), "--no-backup");
    expect(asDocumented(day, ended)).toBe("as documented");
  }
  expect(await contentsOf(database)).toEqual(["One.", "Two."]);
  const runs = await asOwner(
    database,
    (sql) => sql`select result, without_backup from ops.migration_runs order by id desc limit 3`,
  );
  expect([...runs]).toEqual(Array(3).fill({ result: "failed", without_backup: true }));
}, 30_000);
