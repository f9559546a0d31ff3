import { afterAll, beforeAll, expect, test } from "bun:test";
import postgres from "postgres";
import { migrateDatabase } from "../../src/ops/migrate.ts";
import { differences, schemaObjects } from "../../src/ops/schema_objects.ts";
import { takeSnapshot } from "../../src/ops/snapshot.ts";
import { emptyDatabase, freshDatabase, type TestDatabase } from "../support/server.ts";
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

/** The table made by the statements, as a snapshot sees it; taken back. */
const hashed = (statements: string, settings = "select 1") =>
  undone(owner, async (tx) => {
    await tx.unsafe(`create table brain.tried (id int primary key, a text, b text); ${statements}`).simple();
    await tx.unsafe(settings);
    return (await takeSnapshot(tx)).tables["brain.tried"];
  });

test.each([
  ["where a value ends", `(1, 'a', 'b|c')`, `(1, 'a|b', 'c')`],
  ["which column has it", `(1, 'a', null)`, `(1, null, 'a')`],
  ["null and empty", `(1, null, 'x')`, `(1, '', 'x')`],
  ["null and the text None", `(1, null, 'x')`, `(1, 'None', 'x')`],
  ["null and the mark for it", `(1, null, 'x')`, `(1, '-', 'x')`],
  ["one cell", `(1, 'a', 'b'), (2, 'a', 'b')`, `(1, 'a', 'b'), (2, 'a', 'B')`],
  ["which row has it", `(1, 'a', 'x'), (2, 'b', 'x')`, `(1, 'b', 'x'), (2, 'a', 'x')`],
  ["a row less", `(1, 'a', 'b'), (2, 'a', 'b')`, `(1, 'a', 'b')`],
])("the checksum tells apart: %s", async (_what, one, other) => {
  const [first, second] = [
    await hashed(`insert into brain.tried values ${one}`),
    await hashed(`insert into brain.tried values ${other}`),
  ];
  expect(first?.checksum).not.toBe(second?.checksum);
  expect(first?.rows).toBe(one.split("), (").length);
});

test("the order rows were written in, and the settings of whoever asks, do not matter", async () => {
  const one = await hashed("insert into brain.tried values (1, 'a', 'b'), (2, 'c', 'd')");
  const other = await hashed(
    "insert into brain.tried values (2, 'c', 'x'), (1, 'a', 'b'); update brain.tried set b = 'd' where id = 2",
    "set local timezone = 'Asia/Tokyo'",
  );
  expect(other).toEqual(one);
});

test("as a role that does not see every row it is refused, naming the tables", async () => {
  const service = postgres(database.service_url, { max: 1, onnotice: () => {} });
  const taken = service.begin((tx) => takeSnapshot(tx));
  await expect(taken).rejects.toMatchObject({
    exit: "owner_refused",
    message: expect.stringContaining("brain.memories"),
  });
  await service.end();
});

test("two databases of one release have the same schema, objects and hash", async () => {
  const other = await emptyDatabase();
  await migrateDatabase(other.owner_url);
  const there = postgres(other.owner_url, { max: 1, onnotice: () => {} });
  const [one, two] = await Promise.all([owner, there].map((sql) => sql.begin((tx) => schemaObjects(tx))));
  expect(differences(one ?? {}, two ?? {})).toEqual([]);
  expect(Object.keys(one ?? {}).length).toBeGreaterThan(400);
  await there.end();
  await other.drop();
});

test.each([
  ["create index by_hand on brain.memories (org_id, thread, id)", "index brain.by_hand was added"],
  ["alter table brain.memories disable trigger _500_touch", "trigger _500_touch of brain.memories was changed"],
  ["grant update (owner) on brain.memories to brain_app", "rights on column brain.memories.owner was added"],
  ["alter policy within_spaces on brain.memories using (true)", "policy within_spaces of brain.memories was changed"],
  [
    "alter table brain.memories alter column category set default 'decision'",
    "column brain.memories.category was changed",
  ],
  ["drop function app.schema_state()", "function app.schema_state() is missing"],
])("what is done by hand has a name: %s", async (statement, said) => {
  const before = await owner.begin((tx) => schemaObjects(tx));
  const after = await undone(owner, async (tx) => {
    await tx.unsafe(statement);
    return schemaObjects(tx);
  });
  expect(differences(before, after)).toContain(said);
});
