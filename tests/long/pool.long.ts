import { afterAll, beforeAll, expect, test } from "bun:test";
import { PGBOUNCER, startPgbouncer } from "../support/pgbouncer.ts";
import { freshDatabase, type TestDatabase } from "../support/server.ts";
import { storm } from "../support/storm.ts";

/** The storm of tests/db/pool.test.ts for a whole minute: by hand, `bun run test:long`. */
let database: TestDatabase;
beforeAll(async () => {
  database = await freshDatabase();
});
afterAll(() => database.drop());

const SECONDS = 60;
const LIMIT_MS = SECONDS * 1000 + 120_000;

test(
  `200 callers, a pool of 3, ${SECONDS} s`,
  async () => {
    const { faults, ...figures } = await storm({ ...database, seconds: SECONDS });
    console.log("directly", figures);
    expect(faults).toEqual([]);
  },
  LIMIT_MS,
);
test.if(PGBOUNCER !== null)(
  `200 callers, a pool of 3, ${SECONDS} s, through pgbouncer`,
  async () => {
    await using pgbouncer = await startPgbouncer(database.service_url);
    const { faults, ...figures } = await storm({
      ...database,
      service_url: pgbouncer.url,
      seconds: SECONDS,
      prepare: false,
    });
    console.log("through pgbouncer", figures);
    expect(faults).toEqual([]);
  },
  LIMIT_MS,
);
