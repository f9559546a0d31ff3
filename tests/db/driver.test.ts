import { afterAll, beforeAll, expect, test } from "bun:test";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import postgres from "postgres";
import { freshDatabase, type TestDatabase } from "../support/server.ts";

/**
 * What the patch of postgres.js (.patches/) is for: without it, what a transaction does after it has lost its connection
 * goes onto that connection's next life, into the middle of another caller's transaction.
 */
let database: TestDatabase;
let admin: postgres.Sql;
beforeAll(async () => {
  database = await freshDatabase();
  admin = postgres(database.admin_url, { max: 1, onnotice: () => {} });
});
afterAll(async () => {
  await admin.end();
  await database.drop();
});

test("a transaction that has lost its connection reaches no other transaction on it", async () => {
  const sql = postgres(database.owner_url, { max: 1, onnotice: () => {}, backoff: () => 0 });
  const other_began = Promise.withResolvers<void>();
  const first_ended = Promise.withResolvers<void>();

  const lost: unknown[] = [];
  const first = sql.begin(async (tx) => {
    const [me] = await tx<{ pid: number }[]>`select pg_backend_pid() as pid`;
    await admin`select pg_terminate_backend(${me?.pid ?? 0})`;
    await other_began.promise; // on the same connection, made anew: there is one only
    for (const statement of [tx`select set_config('app.current_org_id', 'of the first', true)`, tx`rollback`])
      lost.push(
        await statement.then(
          () => "ran",
          (error: { code: string }) => error.code,
        ),
      );
  });
  first.catch(() => {}).finally(first_ended.resolve);

  let seen: Record<string, string> | undefined;
  // Until the driver has noticed the loss, what is begun is lost with it.
  for (let tries = 0; !seen && tries < 50; tries++)
    await sql
      .begin(async (tx) => {
        await tx`select set_config('app.b', 'of the second', true)`;
        other_began.resolve();
        await first_ended.promise;
        await Bun.sleep(20);
        [seen] = await tx<Record<string, string>[]>`
          select current_setting('app.b', true) as own, current_setting('app.current_org_id', true) as foreign`;
      })
      .catch(() => Bun.sleep(5));

  await expect(first).rejects.toThrow();
  expect(lost.every((outcome) => outcome !== "ran")).toBe(true);
  expect(seen?.own).toBe("of the second");
  expect(seen?.foreign || "").toBe("");
  await sql.end();
});

test("a hundred rounds of ended backends leave no query without an answer, and none with another's", async () => {
  const sql = postgres(database.owner_url, { max: 3, onnotice: () => {}, backoff: () => 0.01 });
  const role = new URL(database.owner_url).username;
  let wrong = 0;
  for (let round = 0; round < 100; round++) {
    const asked = Array.from({ length: 6 }, (_, n) =>
      sql
        .begin(async (tx) => {
          const mark = `${round}.${n}`;
          await tx`select set_config('app.mark', ${mark}, true)`;
          const [row] = await tx<
            { echoed: string; mark: string }[]
          >`select ${mark} as echoed, current_setting('app.mark', true) as mark`;
          if (row?.echoed !== mark || row.mark !== mark) wrong++;
        })
        .catch(() => {}),
    );
    if (round % 3 === 0)
      await admin`select pg_terminate_backend(pid) from pg_stat_activity where usename = ${role} and datname = current_database()`;
    await Promise.all(asked);
  }
  expect(wrong).toBe(0);
  // A backend that was ended in the last round may be noticed only now, once for each connection.
  let one: number | undefined;
  for (let tries = 0; one === undefined && tries < 4; tries++)
    one = await sql
      .begin((tx) => tx<{ one: number }[]>`select 1 as one`)
      .then(
        ([row]) => row?.one,
        () => undefined,
      );
  expect(one).toBe(1);
  await sql.end();
});

test("of a transaction that did not begin nothing more is sent, least of all into another on its connection", async () => {
  const sql = postgres(database.owner_url, { max: 1, onnotice: () => {} });
  const outcomes: string[] = [];
  const told = (query: postgres.PendingQuery<postgres.Row[]>) =>
    query.then(
      () => outcomes.push("ran"),
      () => outcomes.push("refused"),
    );
  // Words that BEGIN does not take: what goes out with it finds no transaction.
  const failing = sql.begin("nonsense", async (tx) => {
    await told(tx`select set_config('app.current_org_id', 'of the first', true)`);
    await told(tx`select set_config('app.current_org_id', 'of the first', false)`);
    await Bun.sleep(50);
    await told(tx`select set_config('app.current_org_id', 'of the first', false)`);
  });
  const [failed, seen] = await Promise.allSettled([
    failing,
    sql.begin(async (tx) => {
      await Bun.sleep(100);
      const [row] = await tx<{ org: string }[]>`select current_setting('app.current_org_id', true) as org`;
      return row?.org || "nobody's";
    }),
  ]);
  expect(failed.status).toBe("rejected");
  expect(String(failed.status === "rejected" && failed.reason)).toContain("syntax error");
  expect(seen).toEqual({ status: "fulfilled", value: "nobody's" });
  await Bun.sleep(100);
  expect(outcomes).toEqual(["ran", "refused", "refused"]);
  await sql.end();
});

test("a transaction of so many statements ends with the last of them, and takes no more", async () => {
  const sent: string[] = [];
  const sql = postgres(database.owner_url, {
    max: 1,
    onnotice: () => {},
    debug: (_connection, statement) => void sent.push(statement),
  });
  const add = () => sql.begin("read only", (tx) => Promise.all([tx`select 1 as one`, tx`select 2 as two`]), 2);
  await add();
  sent.length = 0;
  expect((await add()).flat().map((row) => ({ ...row }))).toEqual([{ one: 1 }, { two: 2 }]);
  expect(sent).toEqual(["begin read only", "select 1 as one", "select 2 as two", "commit"]);

  const more = sql.begin(
    "read only",
    async (tx) => {
      await tx`select 1`;
      await tx`select 2`;
    },
    1,
  );
  await expect(more).rejects.toThrow("a statement more");
  const failing = sql.begin("read only", async (tx) => void (await tx`select 1 / 0`), 1);
  await expect(failing).rejects.toThrow("division by zero");
  const [[state] = []] = await sql.begin((tx) => Promise.all([tx`select pg_current_xact_id_if_assigned() as id`]));
  expect(state).toEqual({ id: null });
  await sql.end();
});

test("a COPY whose last row fills the stream ends, and its connection goes on", async () => {
  const sql = postgres(database.owner_url, { max: 1, onnotice: () => {} });
  for (let times = 0; times < 20; times++) {
    const rows = await sql.begin(async (tx) => {
      let bytes = 0;
      const copied = await tx`copy (select repeat('x', 9000) from generate_series(1, 20)) to stdout`.readable();
      for await (const chunk of copied) bytes += (chunk as Buffer).length;
      const [after] = await tx<{ one: number }[]>`select 1 as one`;
      return { bytes, ...after };
    });
    expect(rows).toEqual({ bytes: 20 * 9001, one: 1 });
  }
  await sql.end();
});

test("a COPY that the server refuses after its last row is an error, and its connection goes on", async () => {
  const sql = postgres(database.owner_url, { max: 1, onnotice: () => {} });
  const copy = sql.begin(async (tx) => {
    await tx`create temporary table numbers (n int) on commit drop`;
    const into = await tx`copy numbers (n) from stdin`.writable();
    await pipeline(Readable.from([Buffer.from("1\nnone\n")]), into);
  });
  await expect(copy).rejects.toThrow("invalid input syntax");
  expect([...(await sql`select 1 as one`)]).toEqual([{ one: 1 }]);
  await sql.end();
});
