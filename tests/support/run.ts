import { existsSync, readFileSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { removeAll, startTestPostgres } from "./server.ts";

/**
 * The whole suite, two files at a time, on one PostgreSQL: an embedded one, or TEST_DATABASE_URL. Each worker of
 * `bun test` makes databases and roles of its own there. Arguments go to `bun test`; its exit code is this one's.
 */
const WORKERS = 2;
/** Of each test in milliseconds; bunfig.toml's is not heard by Bun 1.4.5. */
const TIMEOUT = 30_000;

/** How long each file took: the longest are run first, so that no worker waits at the end. `--update-timings` measures anew. */
const TIMINGS = join(import.meta.dir, "timings.json");

/** What is made in a run, with room to spare: some servers of 100 MB each, and their databases. */
const ROOM = 4 * 2 ** 30;
/** Thousands of files are made and removed: in memory, where there is room for them and programs may lie, half as dear. */
const MEMORY = "/dev/shm";
if (!process.env.TMPDIR && isRoomy(MEMORY)) process.env.TMPDIR = MEMORY;

function isRoomy(folder: string): boolean {
  if (!existsSync(folder)) return false;
  const [, options = "noexec"] =
    new RegExp(`^\\S+ ${folder} tmpfs (\\S+)`, "m").exec(readFileSync("/proc/mounts", "utf8")) ?? [];
  const { bavail, bsize } = statfsSync(folder);
  return !options.split(",").includes("noexec") && bavail * bsize > ROOM;
}

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
      `--timings=${TIMINGS}`,
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
