import { removeAll, startTestPostgres } from "./server.ts";

/**
 * The whole suite, two files at a time, on one PostgreSQL: an embedded one, or TEST_DATABASE_URL. Each worker of
 * `bun test` makes databases and roles of its own there. Arguments go to `bun test`; its exit code is this one's.
 */
const WORKERS = 2;
/** Of each test in milliseconds; bunfig.toml's is not heard by Bun 1.4.5. */
const TIMEOUT = 30_000;

const given = process.env.TEST_DATABASE_URL;
const { admin_url, stop } = given ? { admin_url: given, stop: async () => {} } : await startTestPostgres();
const run = `brain_test_${process.pid}_${Date.now().toString(36)}`;
try {
  const suite = Bun.spawn(
    [
      process.execPath,
      "test",
      `--timeout=${TIMEOUT}`,
      `--parallel=${WORKERS}`,
      "--no-isolate", // a worker keeps its template database, and what it has loaded, from file to file
      ...process.argv.slice(2),
    ],
    { stdio: ["ignore", "inherit", "inherit"], env: { ...process.env, TEST_DATABASE_URL: admin_url, TEST_RUN: run } },
  );
  process.exitCode = await suite.exited;
  await removeAll(admin_url, run);
} finally {
  await stop();
}
