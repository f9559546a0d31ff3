import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { calculateHash } from "graphile-migrate/dist/hash.js";
import postgres from "postgres";
import { backupKeyOf } from "../../src/ops/backup_key.ts";
import { openBackup } from "../../src/ops/backup_read.ts";
import { committedMigrations, newestMigration } from "../../src/ops/committed.ts";
import { migrateDatabase } from "../../src/ops/migrate.ts";
import { EXIT, Refusal } from "../../src/refusal.ts";
import { agedDatabase, store } from "../support/aged.ts";
import { asDocumented } from "../support/documented.ts";
import { temporaryFolder } from "../support/folder.ts";
import { brain } from "../support/processes.ts";
import { emptyDatabase, freshDatabase, type TestDatabase } from "../support/server.ts";

const ROOT = join(import.meta.dir, "../..");
const folder = temporaryFolder();
const opened: TestDatabase[] = [];
afterAll(async () => {
  for (const database of opened) await database.drop();
  folder[Symbol.dispose]();
});

const kept = async (made: Promise<TestDatabase>) => {
  const database = await made;
  opened.push(database);
  return database;
};

/** As an operator of a database of their own, with this data directory. */
const operator = (database: TestDatabase, data_dir = "data") => ({
  OWNER_DATABASE_URL: database.owner_url,
  ROOT_DATABASE_URL: database.admin_url,
  BRAIN_DATA_DIR: join(folder.path, data_dir),
});

/** This release in a folder of its own, to be changed. */
function releaseIn(name: string) {
  const path = join(folder.path, name);
  mkdirSync(path);
  for (const part of ["src", "sql", "migrations", "package.json", "tsconfig.json"])
    cpSync(join(ROOT, part), join(path, part), { recursive: true, verbatimSymlinks: true });
  symlinkSync(join(ROOT, "node_modules"), join(path, "node_modules"));
  return {
    path,
    async migrate(env: Record<string, string>, ...options: string[]) {
      const command = Bun.spawn([process.execPath, "src/cli/brain.ts", "migrate", ...options], {
        cwd: path,
        env: { PATH: process.env.PATH ?? "", LOG_LEVEL: "warn", ...env },
        stdout: "ignore",
        stderr: "pipe",
      });
      return { code: await command.exited, err: await new Response(command.stderr).text() };
    },
  };
}

const asOwner = async <T>({ owner_url }: TestDatabase, work: (sql: postgres.Sql) => Promise<T>) => {
  const sql = postgres(owner_url, { max: 1, onnotice: () => {} });
  return work(sql).finally(() => sql.end());
};
const appliedTo = (database: TestDatabase) =>
  asOwner(
    database,
    async (sql) => (await sql`select max(filename) as newest from graphile_migrate.migrations`)[0]?.newest,
  );
const contentsOf = (database: TestDatabase) =>
  asOwner(database, async (sql) =>
    (await sql`select content from brain.memories order by content`).map((row) => row.content),
  );

describe("a database of an earlier release, with rows", () => {
  let database: TestDatabase;
  let other: TestDatabase;
  const env = () => operator(database);
  const good = join(folder.path, "good.zip");
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
      const file = join(folder.path, `${name}.zip`);
      writeFileSync(file, bytes);
      return file;
    };
    const flipped = (at: number) => {
      const copy = Buffer.from(whole);
      copy[at] = (copy[at] ?? 0) ^ 1;
      return copy;
    };
    const foreign = join(folder.path, "foreign.zip");
    await brain(["backup", "--to", foreign], operator(other, "elsewhere"));
    const cases = [
      [join(folder.path, "nowhere.zip"), "the backup is missing"],
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
    const file = join(folder.path, "text.zip");
    writeFileSync(
      file,
      "not an archive at all, and longer than the seal of one would be, so that its end is looked at".repeat(2),
    );
    await expect(openBackup(file, null)).rejects.toThrow("is truncated, or is no backup");
  });

  test("a backup of another database is refused", async () => {
    const one = await kept(freshDatabase());
    const file = join(folder.path, "of-one.zip");
    await brain(["backup", "--to", file], operator(one));
    const ended = await brain(["migrate", "--backup", file], env());
    expect(asDocumented("the backup is of another database", ended)).toBe("as documented");
    expect(await appliedTo(database)).toBe("000012.sql");
  }, 30_000);

  test("a backup that is stale is refused, naming what changed", async () => {
    const stale = await kept(agedDatabase("000012", ["First."]));
    const file = join(folder.path, "stale.zip");
    await brain(["backup", "--to", file], operator(stale));
    await asOwner(stale, (sql) => store(sql, ["Second."]));
    const ended = await brain(["migrate", "--backup", file], operator(stale));
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
    expect((await brain(["migrate", "--no-backup"], operator(other))).code).toBe(0);
    const [run] = await asOwner(other, (sql) => sql`select without_backup, backup from ops.migration_runs`);
    expect(run).toEqual({ without_backup: true, backup: null });
  }, 30_000);
});

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

describe("drift", () => {
  test("what was changed by hand is named, and can be taken as it is", async () => {
    const database = await kept(freshDatabase());
    const env = operator(database);
    await asOwner(database, (sql) => sql`create index by_hand on brain.memories (org_id, thread, id)`);
    for (const command of ["migrate", "status"]) {
      const { code, out, err } = await brain([command], env);
      if (command === "migrate")
        expect(asDocumented("the schema was changed by hand", { code, err })).toBe("as documented");
      expect({ code, told: `${out}${err}` }).toEqual({
        code: EXIT.drifted,
        told: expect.stringContaining("index brain.by_hand was added"),
      });
    }
    expect((await brain(["migrate", "--accept-drift"], env)).code).toBe(0);
    expect((await brain(["status"], env)).code).toBe(0);
  }, 30_000);

  test("what was changed by hand before runs were recorded shows when the backup is proved", async () => {
    const database = await kept(agedDatabase("000012", ["One."]));
    await asOwner(database, (sql) => sql`create index by_hand on brain.memories (org_id, thread, id)`);
    const { code, err } = await brain(["migrate"], operator(database));
    expect({ code, err }).toEqual({
      code: EXIT.drifted,
      err: expect.stringContaining("index brain.by_hand was added"),
    });
    expect(await appliedTo(database)).toBe("000012.sql");
    expect((await brain(["migrate", "--accept-drift"], operator(database))).code).toBe(0);
  }, 30_000);

  test("an edited committed file, and an edited sql/ file without a commit, are named", async () => {
    const database = await kept(freshDatabase());
    const release = releaseIn("edited");
    const edit = (file: string) =>
      writeFileSync(join(release.path, file), `${readFileSync(join(release.path, file), "utf8")}-- edited\n`);
    edit("sql/memories.sql");
    const uncommitted = await release.migrate(operator(database));
    expect(uncommitted).toEqual({
      code: EXIT.drifted,
      err: expect.stringContaining("sql/memories.sql was edited since"),
    });
    const [first] = readdirSync(join(release.path, "migrations/committed")).sort();
    edit(`migrations/committed/${first}`);
    const edited = await release.migrate(operator(database));
    expect(asDocumented("a committed migration was edited", edited)).toBe("as documented");
    expect(edited.err).toContain(`${first} was edited`);
  }, 30_000);
});

describe("a release whose migration is wrong ends as documented", () => {
  test.each([
    ["a migration deletes what it does not declare", "delete from brain.memories where content = 'One.';"],
    ["a migration leaves a table open", "create table brain.open (org_id uuid not null);"],
    ["a statement of a migration fails", "select nothing.at_all();"],
  ])(
    "%s",
    async (day, body) => {
      const database = await kept(freshDatabase());
      await asOwner(database, (sql) => store(sql, ["One.", "Two."]));
      const release = releaseIn(day.replaceAll(" ", "-"));
      const previous = committedMigrations().at(-1)?.hash ?? "";
      writeFileSync(
        join(release.path, "migrations/committed/999999-wrong.sql"),
        `--! Previous: ${previous}\n--! Hash: ${calculateHash(body, previous)}\n\n${body}\n`,
      );
      expect(asDocumented(day, await release.migrate(operator(database), "--no-backup"))).toBe("as documented");
      expect(await contentsOf(database)).toEqual(["One.", "Two."]);
      const [run] = await asOwner(
        database,
        (sql) => sql`select result, without_backup from ops.migration_runs order by id desc limit 1`,
      );
      expect(run).toEqual({ result: "failed", without_backup: true });
    },
    30_000,
  );
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

test("an empty database is migrated without a backup, by two runners at once", async () => {
  const database = await kept(emptyDatabase());
  const runs = await Promise.all([
    brain(["migrate"], operator(database, "none")),
    brain(["migrate"], operator(database, "none")),
  ]);
  expect(runs.map(({ code }) => code)).toEqual([0, 0]);
  expect(readdirSync(folder.path)).not.toContain("none");
  const recorded = await asOwner(database, (sql) => sql`select kind, result, without_backup from ops.migration_runs`);
  expect([...recorded]).toEqual([{ kind: "migrate", result: "done", without_backup: false }]);
}, 30_000);
