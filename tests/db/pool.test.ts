import { afterAll, beforeAll, expect, test } from "bun:test";
import { PGBOUNCER, startPgbouncer } from "../support/pgbouncer.ts";
import { freshDatabase, type TestDatabase } from "../support/server.ts";
import { type StormReport, storm } from "../support/storm.ts";

/** Many callers on few connections while everything that can be lost is lost. A whole minute of it: tests/long/pool.long.ts. */
let database: TestDatabase;
beforeAll(async () => {
  database = await freshDatabase();
});
afterAll(() => database.drop());

const SECONDS = 3;
const LIMIT_MS = 60_000;

test(
  "200 callers on 3 connections, some of them ended: nobody gets another's rows or identity",
  async () => {
    const report = await storm({ ...database, seconds: SECONDS });
    expect(report.faults).toEqual([]);
    expect(missing(report)).toEqual([]);
  },
  LIMIT_MS,
);

test.if(PGBOUNCER !== null)(
  `the same through pgbouncer in transaction mode${PGBOUNCER ? "" : " (skipped: pgbouncer is not installed)"}`,
  async () => {
    await using pgbouncer = await startPgbouncer(database.service_url);
    const report = await storm({ ...database, service_url: pgbouncer.url, seconds: SECONDS, prepare: false });
    expect(report.faults).toEqual([]);
    expect(missing(report)).toEqual([]);
  },
  LIMIT_MS,
);

/** What did not happen once: a storm without it would have shown nothing about it. */
function missing({ answers, aborted, identities, timeouts, thrown, pairs, terminated, rows_seen }: StormReport) {
  const events = { ...answers, aborted, identities, timeouts, thrown, pairs, terminated, rows_seen };
  return ["200", "201", "204", "404", "409", "503", ...Object.keys(events)].filter(
    (name) => !(events as Record<string, number>)[name],
  );
}
