import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import postgres from "postgres";
import { applyMigrations } from "../../src/ops/apply.ts";
import { committedMigrations, type Migration } from "../../src/ops/committed.ts";
import { planRollback, rollBack } from "../../src/ops/rollback.ts";
import { draftOf, draftRollback } from "../../src/ops/rollback_draft.ts";
import { type Rollback, readRollback } from "../../src/ops/rollback_file.ts";
import { type Rows, rowsOf, schemaOf } from "../support/schema.ts";
import { seed } from "../support/seeds.ts";
import { emptyDatabase, freshDatabase, type TestDatabase } from "../support/server.ts";

const COMMITTED = committedMigrations();
const NUMBERS = COMMITTED.map((_, index) => index + 1);

/** What two runs of one migration make differently: ids and times it gives out itself. */
const VOLATILE = ["space_sizes.id", "entities.created_at", "events.id", "events.created_at"];

/** What a migration does on its way forward and back, as it was found. */
interface Found {
  /** Before, after its rollback, and after the one of the end, where every table had rows. */
  before: string[];
  back: string[];
  at_the_end: string[];
  /** After it was applied, and after it was applied again. */
  forward: { schema: string[]; rows: Rows };
  forward_again: { schema: string[]; rows: Rows };
  rows_before: Rows;
  rows_back: Rows;
  /** Lost: lines whose condition held for no row, at the end. */
  idle: string[];
}

let database: TestDatabase;
let owner: postgres.Sql;
const found: Partial<Found>[] = [];

/** One database goes up a migration at a time, with a step back at each, and then all the way down again. */
beforeAll(async () => {
  database = await emptyDatabase();
  owner = postgres(database.owner_url, { max: 1, onnotice: () => {} });
  const take_back = async (migration: number) => {
    const { rows_at_risk, at_risk } = await planRollback(database.owner_url);
    await rollBack(database.owner_url, sixDigits(migration), rows_at_risk);
    return at_risk;
  };
  for (const migration of NUMBERS) {
    await seed(owner, migration - 1);
    const one: Partial<Found> = { before: await schemaOf(owner), rows_before: await rowsOf(owner) };
    await migrateTo(migration);
    one.forward = { schema: await schemaOf(owner), rows: await rowsOf(owner, VOLATILE) };
    await take_back(migration);
    Object.assign(one, { back: await schemaOf(owner), rows_back: await rowsOf(owner) });
    await migrateTo(migration);
    one.forward_again = { schema: await schemaOf(owner), rows: await rowsOf(owner, VOLATILE) };
    found[migration] = one;
  }
  await seed(owner, NUMBERS.length);
  for (const migration of NUMBERS.toReversed()) {
    const at_risk = await take_back(migration);
    const idle = at_risk.flatMap(({ table, rows }) => (rows === 0 ? [table] : []));
    Object.assign(found[migration] ?? {}, { at_the_end: await schemaOf(owner), idle });
  }
}, 60_000);

afterAll(async () => {
  await owner.end();
  await database.drop();
});

const sixDigits = (migration: number) => String(migration).padStart(6, "0");

/** As `brain migrate` of a release that ended there, whose lint was another. */
const migrateTo = (migration: number) =>
  owner.begin((tx) => applyMigrations(tx, COMMITTED.slice(migration - 1, migration)));

describe.each(NUMBERS.map((migration) => [COMMITTED[migration - 1]?.file ?? "", migration] as const))(
  "%s",
  (name, migration) => {
    const file = readRollback(`${sixDigits(migration)}.sql`) as Rollback;
    const of = () => found[migration] as Found;
    /** Of which the migration itself touches rows of before, as its rollback says. */
    const touched = () => file.stays.map((said) => said.replace(/^brain\.(\w+), as .+$/, "$1"));

    test("has a rollback", () => {
      expect(file?.migration).toBe(name);
    });

    test("every table had rows before", () => {
      expect(Object.entries(of().rows_before).filter(([, rows]) => rows.length === 0)).toEqual([]);
    });

    test("taken back, the schema and the untouched rows are as before", () => {
      expect(of().back).toEqual(of().before);
      const changed = Object.keys(of().rows_before).filter(
        (table) => String(of().rows_back[table]) !== String(of().rows_before[table]),
      );
      expect(changed).toEqual(touched());
    });

    test("forward again, it is as after the first time", () => {
      const { forward, forward_again } = of();
      expect(forward_again.schema).toEqual(forward.schema);
      // What it once did to rows of before is done: it does not do it again, nor write down that it did.
      const once =
        file.stays.length > 0 ? [...touched(), ...file.lost.map(({ table }) => table.slice("brain.".length))] : [];
      const again = (rows: Rows) => Object.entries(rows).filter(([table]) => !once.includes(table));
      expect(again(forward_again.rows)).toEqual(again(forward.rows));
    });

    test("taken back with rows in all that is new, the schema is as before", () => {
      expect(of().at_the_end).toEqual(of().before);
    });

    test("says of every table and column that goes whether it is lost or derived, and of nothing else", () => {
      const kinds = /^(?:r (\S+) row security|column (\S+) .* generated (?!s)) /;
      const things = (schema: string[]) => schema.flatMap((item) => kinds.exec(item)?.slice(1).find(Boolean) ?? []);
      const before = new Set(things(of().before));
      const gone = things(of().forward.schema).filter((thing) => !before.has(thing));
      const tables = gone.filter((thing) => thing.split(".").length === 2);
      const columns = gone.filter((thing) => !tables.some((table) => thing.startsWith(`${table}.`)));
      const told = (thing: string) =>
        file.derived.includes(thing) ||
        file.lost.some(({ table, condition }) => table === thing || condition?.includes(thing.slice(table.length + 1)));
      expect([...tables, ...columns].filter((thing) => !told(thing))).toEqual([]);
      expect(
        [...file.lost.map(({ table }) => table), ...file.derived].filter(
          (thing) => !gone.some((one) => one.startsWith(thing)),
        ),
      ).toEqual([]);
      expect(of().idle).toEqual([]);
    });

    test("says whether the release before runs: what it calls, reads and writes is still there", () => {
      const said = file.release_before;
      if (migration === 1) return expect(said).toBe("none");
      const has = new Set(interfaceOf(of().forward.schema));
      const missing = interfaceOf(of().before).filter((item) => !has.has(item));
      const demanded = newDemands(of().before, of().forward.schema);
      expect({ said, missing, demanded }).toMatchObject(
        missing.length + demanded.length === 0 ? { said: "runs" } : { said: expect.stringMatching(/^fails, as /) },
      );
    });
  },
);

/** The names, types and rights the service sees of a schema. */
const interfaceOf = (schema: string[]) =>
  schema.flatMap((item) => {
    const [, signature, rights = ""] =
      /^function CREATE OR REPLACE FUNCTION (.*\n RETURNS .*)\n[\s\S]* acl (.*)$/.exec(item) ?? [];
    if (signature) return rights.includes("brain_app=X") ? [signature] : [];
    const [, column, type, acl = ""] = /^column (\S+) (.+) collation .* acl (.*)$/.exec(item) ?? [];
    if (column)
      return [
        `${column} ${type}`,
        ...[...(/brain_app=([a-z]+)/.exec(acl)?.[1] ?? "")].map((right) => `${right} ${column}`),
      ];
    const [, table, granted = ""] = /^[rv] (\S+) row security .* acl (.*) options/.exec(item) ?? [];
    return [...(/brain_app=([a-z]+)/.exec(granted)?.[1] ?? "")].map((right) => `${right} ${table}`);
  });

/** Columns that an insert of before does not give, and has to; of tables the service inserts into itself. */
const newDemands = (before: string[], after: string[]) =>
  after.filter((item) => {
    const [, table] = /^column (\w+\.\w+)\.\w+ .* not null t identity {2}generated {2}default {2}acl /.exec(item) ?? [];
    const inserts = (known: string) => known.includes(` ${table}`) && /brain_app=[b-z]*a/.test(known);
    return (
      table &&
      before.some(inserts) &&
      before.some((known) => known.startsWith(`r ${table} row`)) &&
      !before.some((known) => known.startsWith(item.split(" ", 2).join(" ")))
    );
  });

test("a draft restores what sql/ said before, and is not taken for finished", () => {
  const draft = draftOf(COMMITTED[4] as Migration);
  expect(draft.match(/^--! Restore: .+$/gm)).toEqual(["--! Restore: tenants.sql", "--! Restore: audit.sql"]);
  expect(draft).toContain("-- All of purge.sql.");
  expect(draft).toContain("-- create table brain.settings (");
  expect(draft.replace(/^--.*\n/gm, "").trim()).toBe("");
  expect(draft).toContain("--! Release before: ?");
  expect(draftRollback()).toBeNull();
});

test("a database that went there and back again has the schema of one that went straight", async () => {
  const straight = await freshDatabase();
  const other = postgres(straight.owner_url, { max: 1, onnotice: () => {} });
  expect(found.at(-1)?.forward_again?.schema).toEqual(await schemaOf(other));
  await other.end();
  await straight.drop();
});

test("the way back from 000017 leaves vectors as the release before it reads them", async () => {
  const finer = await emptyDatabase();
  const other = postgres(finer.owner_url, { max: 1, onnotice: () => {} });
  await other.begin((tx) => applyMigrations(tx, COMMITTED.slice(0, 17)));
  await seed(other, 17);
  const longest = async () => {
    const [row] = await other<{ vector: string }[]>`
      select convert_from(vector, 'UTF8') as vector from brain.memory_embeddings order by octet_length(vector) desc limit 1`;
    return row?.vector;
  };
  expect(await longest()).toBe("8 vectorfour");
  await rollBack(finer.owner_url, "000017", (await planRollback(finer.owner_url)).rows_at_risk);
  expect(await longest()).toBe("8 vector");
  await other.end();
  await finer.drop();
});
