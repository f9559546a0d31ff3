import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import postgres from "postgres";
import { committedMigrations } from "../../src/ops/committed.ts";
import { migrateDatabase } from "../../src/ops/migrate.ts";
import { newestMigration } from "../../src/ops/migration_files.ts";
import { EXIT, Refusal } from "../../src/refusal.ts";
import { agedDatabase, store } from "../support/aged.ts";
import { asDocumented } from "../support/documented.ts";
import { appliedTo, asOwner, contentsOf, openOperator } from "../support/operator.ts";
import { freshDatabase, type TestDatabase } from "../support/server.ts";

const operator = openOperator();
const { kept } = operator;
afterAll(() => operator[Symbol.asyncDispose]());

describe("what a migration does to rows", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await kept(freshDatabase());
    await asOwner(database, (sql) => store(sql, ["One.", "Two.", "Three."]));
  });

  const made = (body: string) => {
    const committed = committedMigrations();
    const previous_hash = committed.at(-1)?.hash ?? null;
    return [
      ...committed,
      { filename: "999999.sql", file: "999999-tried.sql", hash: `sha1:${crypto.randomUUID()}`, previous_hash, body },
    ];
  };
  const run = (body: string) =>
    migrateDatabase(database.owner_url, { migrations: made(body) }).then(
      () => "done",
      (error: { exit?: string; message: string }) => `${error.exit}: ${error.message}`,
    );

  test.each([
    [
      "a row is deleted",
      "delete from brain.memories where content = 'One.'",
      "brain.memories: 3 rows before, 2 after; +0 declared",
    ],
    [
      "a cell is changed",
      "update brain.memories set thread = 'x' where content = 'One.'",
      "not all of them hold what they held",
    ],
    ["a column is dropped", "alter table brain.memories drop column thread cascade", "the column thread is gone"],
    ["a table is dropped", "drop table brain.idempotency_keys", "brain.idempotency_keys: the table is gone"],
    [
      "fewer than declared",
      "--! expect memories: -2\ndelete from brain.memories where content = 'One.'",
      "3 rows before, 2 after; -2 declared",
    ],
    [
      "another column than declared",
      "--! expect memories: +0 rewrites: tags\nupdate brain.memories set thread = 'x'",
      "not all of them",
    ],
  ])("that it does not declare is taken back: %s", async (_what, body, said) => {
    const before = await contentsOf(database);
    const outcome = await run(body);
    expect(outcome).toStartWith("undeclared_change: ");
    expect(outcome).toContain(said);
    expect(await contentsOf(database)).toEqual(before);
    expect(await appliedTo(database)).toBe(newestMigration());
  });

  test("a declaration that cannot be read is refused before anything is done", async () => {
    expect(await run("--! expect memories: some\nselect 1")).toMatch(
      /^migration_failed: .*declares what cannot be read/,
    );
  });

  test("a table left open is taken back", async () => {
    expect(await run("create table brain.open (org_id uuid not null)")).toMatch(
      /^lint_failed: .*open: row security is off/s,
    );
  });

  test("a statement that fails is told with its line, and taken back", async () => {
    expect(await run("create table brain.half (org_id uuid);\nselect 1;\nselect nothing.at_all()")).toMatch(
      /^migration_failed: 999999-tried\.sql failed at line 3 after its header, and nothing was changed/,
    );
  });

  test("what is declared is done, and the failures before it are in the record", async () => {
    const derived = ["memory_revisions", "memory_terms", "space_words", "space_sizes", "audit_events", "jobs"];
    const body = `--! expect memories: -1 rewrites: *
${derived.map((table) => `--! expect ${table}: any`).join("\n")}
delete from brain.memories where content = 'One.';
update brain.memories set thread = 'x';`;
    expect(await run(body)).toBe("done");
    expect(await contentsOf(database)).toEqual(["Three.", "Two."]);
    const results = await asOwner(database, (sql) => sql`select result, detail from ops.migration_runs order by id`);
    expect(results.at(-1)).toMatchObject({ result: "done" });
    expect(results.filter(({ result }) => result === "failed").length).toBeGreaterThan(5);
  });
});

test("what others hold is waited for, and then it says so", async () => {
  const database = await kept(agedDatabase("000012", ["One."]));
  const reader = postgres(database.owner_url, { max: 1, onnotice: () => {} });
  const held = Promise.withResolvers<void>();
  const locked = Promise.withResolvers<void>();
  const reading = reader.begin(async (tx) => {
    await tx`lock table brain.memories in row exclusive mode`;
    locked.resolve();
    await held.promise;
  });
  await locked.promise;
  const busy = await migrateDatabase(database.owner_url, { patience_ms: 50 }).then(String, (error: Refusal) => error);
  if (!(busy instanceof Refusal)) throw new Error("it did not wait for the lock");
  expect(asDocumented("somebody holds the tables", { code: EXIT[busy.exit], err: busy.message })).toBe("as documented");
  held.resolve();
  await reading;
  await reader.end();
  expect((await migrateDatabase(database.owner_url)).to).toBe(newestMigration());
}, 30_000);
