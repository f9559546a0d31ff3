import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { compile } from "graphile-migrate";
import postgres from "postgres";
import { catalogOf } from "../support/catalog.ts";
import { freshDatabase, type TestDatabase } from "../support/server.ts";
import { undone } from "../support/undo.ts";

let database: TestDatabase;
let owner: postgres.Sql;
beforeAll(async () => {
  database = await freshDatabase();
  owner = postgres(database.owner_url, { max: 1, onnotice: () => {} });
});
afterAll(async () => {
  await owner.end();
  await database.drop();
});

/** The living sql/ as one text. */
const livingSql = (connectionString: string) =>
  compile({ connectionString, migrationsFolder: join(import.meta.dir, "../../migrations") }, "--!include all.sql\n");

/** The catalog before and after running statements on it, which are then taken back. */
async function around(statements: string[]): Promise<[before: string[], after: string[]]> {
  const before = await catalogOf(owner);
  const after = await undone(owner, async (tx) => {
    for (const statement of statements) await tx.unsafe(statement);
    return catalogOf(tx);
  });
  return [before, after];
}

test("the committed migrations hold what sql/ says today, and sql/ can be run again and again", async () => {
  const living = await livingSql(database.owner_url);
  const [before, after] = await around([living, living]);
  expect(after).toEqual(before);
});

test.each([
  "create or replace function app.current_sub() returns text language sql stable as $$ select 'ada' $$",
  "alter policy within_spaces on brain.memories using (true)",
  "grant update (owner) on brain.memories to brain_app",
  "revoke execute on function app.enter(text, text, text, text[], text, text) from brain_app",
  "alter table brain.memories disable row level security",
  "drop trigger _500_touch on brain.memories",
])("a difference would be seen: %s", async (statement) => {
  const [before, after] = await around([statement]);
  expect(after).not.toEqual(before);
});

test("nothing is left in work: current.sql is blank", () => {
  const current = readFileSync(join(import.meta.dir, "../../migrations/current.sql"), "utf8");
  expect(current.replace(/^--.*$/gm, "").trim()).toBe("");
});
