import { afterAll, beforeAll, expect, test } from "bun:test";
import { PGBOUNCER, startPgbouncer } from "../support/pgbouncer.ts";
import { freshDatabase, type TestDatabase } from "../support/server.ts";
import { missing, storm } from "../support/storm.ts";

/** Many callers on few connections while everything that can be lost is lost. 200 for a whole minute: tests/long/pool.long.ts. */
let database: TestDatabase;
beforeAll(async () => {
  database = await freshDatabase();
});
afterAll(() => database.drop());

const SECONDS = 3;
const CALLERS = 60;
const LIMIT_MS = 90_000;

test(
  "60 callers on 3 connections, some of them ended: nobody gets another's rows or identity",
  async () => {
    const report = await storm({ ...database, callers: CALLERS, seconds: SECONDS });
    expect(report.faults).toEqual([]);
    expect(missing(report)).toEqual([]);
  },
  LIMIT_MS,
);

test.if(PGBOUNCER !== null)(
  `the same through pgbouncer in transaction mode${PGBOUNCER ? "" : " (skipped: pgbouncer is not installed)"}`,
  async () => {
    await using pgbouncer = await startPgbouncer(database.service_url);
    const report = await storm({
      ...database,
      service_url: pgbouncer.url,
      callers: CALLERS,
      seconds: SECONDS,
      prepare: false,
    });
    expect(report.faults).toEqual([]);
    expect(missing(report)).toEqual([]);
  },
  LIMIT_MS,
);
