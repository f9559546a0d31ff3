import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { EXIT } from "../../src/refusal.ts";
import { documented, fits } from "../support/documented.ts";
import { temporaryFolder } from "../support/folder.ts";
import { brain, startBrain } from "../support/processes.ts";
import { emptyDatabase, freshDatabase, type TestDatabase } from "../support/server.ts";

/**
 * Every bad day an operator may meet at a start, met for real. docs/operations.md has the same table: what happened,
 * the exit code, and the sentence, which is compared here with what was printed.
 */
interface BadDay {
  /** The row in docs/operations.md. */
  name: string;
  exit: keyof typeof EXIT;
  args: string[];
  env: Record<string, string>;
}

const folder = temporaryFolder();
let database: TestDatabase;
let ascii: string;
let up: Awaited<ReturnType<typeof startBrain>>;
const SECRET = { JWT_SECRET_KEY: "s".repeat(32) };
const serve = (env: Record<string, string>) => ({ args: ["serve"], env: { ...SECRET, ...env } });

const changed = (url: string, change: Partial<Record<"password" | "pathname", string>>) =>
  Object.assign(new URL(url), change).href;

beforeAll(async () => {
  database = await freshDatabase();
  up = await startBrain(["up"], { BRAIN_DATA_DIR: join(folder.path, "running") });
  ascii = `${new URL(database.owner_url).pathname.slice(1)}_ascii`;
  const admin = postgres(database.admin_url, { max: 1, onnotice: () => {} });
  await admin.unsafe(`create database ${ascii} template template0 encoding 'SQL_ASCII' locale 'C'`);
  await admin.end();
  const newer = join(folder.path, "newer");
  mkdirSync(join(newer, "postgres"), { recursive: true });
  await Bun.write(join(newer, "postgres/PG_VERSION"), "99\n");
  await Bun.write(join(newer, "secrets.json"), readFileSync(join(folder.path, "running/secrets.json")));
}, 30_000);

afterAll(async () => {
  up.process.kill("SIGTERM");
  await up.process.exited;
  await database.drop();
  folder[Symbol.dispose]();
});

/** Made when the test runs: what they name is there by then. */
const DAYS: (() => BadDay)[] = [
  () => ({
    name: "the port is taken",
    exit: "port_taken",
    ...serve({ DATABASE_URL: database.service_url, PORT: new URL(up.url).port }),
  }),
  () => ({
    name: "the data directory is in use",
    exit: "data_dir_held",
    args: ["up"],
    env: { BRAIN_DATA_DIR: join(folder.path, "running") },
  }),
  () => ({
    name: "the data directory cannot be made or written",
    exit: "bad_config",
    args: ["up"],
    env: { BRAIN_DATA_DIR: "/proc/nowhere" },
  }),
  () => ({
    name: "its database is of another PostgreSQL",
    exit: "newer_version",
    args: ["up"],
    env: { BRAIN_DATA_DIR: join(folder.path, "newer") },
  }),
  () => ({ name: "a secret is short", exit: "bad_config", args: ["up"], env: { JWT_SECRET_KEY: "short" } }),
  () => ({ name: "a variable cannot be read", exit: "bad_config", args: ["up"], env: { PORT: "eighty" } }),
  () => ({
    name: "a secret is missing",
    exit: "bad_config",
    args: ["serve"],
    env: { DATABASE_URL: database.service_url },
  }),
  () => ({
    name: "the database cannot be reached",
    exit: "database_unreachable",
    ...serve({ DATABASE_URL: "postgres://brain_service:x@127.0.0.1:1/coding_brain" }),
  }),
  () => ({
    name: "the password is wrong",
    exit: "database_unreachable",
    ...serve({ DATABASE_URL: changed(database.service_url, { password: "wrong" }) }),
  }),
  () => ({
    name: "there is no such database",
    exit: "database_unreachable",
    ...serve({ DATABASE_URL: changed(database.service_url, { pathname: "/nothing" }) }),
  }),
  () => ({ name: "the role may do too much", exit: "role_refused", ...serve({ DATABASE_URL: database.admin_url }) }),
  () => ({ name: "the role owns the database", exit: "role_refused", ...serve({ DATABASE_URL: database.owner_url }) }),
  () => ({
    name: "the database is not UTF-8",
    exit: "not_utf8",
    ...serve({ DATABASE_URL: changed(database.service_url, { pathname: `/${ascii}` }) }),
  }),
  () => ({
    name: "the owner cannot be reached",
    exit: "database_unreachable",
    args: ["migrate"],
    env: { OWNER_DATABASE_URL: "postgres://brain_owner:x@127.0.0.1:1/coding_brain" },
  }),
];
const NAMES = [
  "port",
  "in use",
  "made or written",
  "another PostgreSQL",
  "short",
  "read",
  "missing",
  "reached",
  "password",
  "no such",
  "too much",
  "owns",
  "UTF-8",
  "owner cannot",
];

describe("a start that cannot be", () => {
  test.each(NAMES.map((name, index) => [name, index] as const))("%s", async (_name, index) => {
    const day = DAYS[index]?.();
    if (!day) throw new Error("no such day");
    const { code, err } = await brain(day.args, day.env);
    const row = documented(day.name);
    expect({ name: day.name, code }).toEqual({ name: day.name, code: EXIT[day.exit] });
    expect(row?.code).toBe(code);
    expect({ printed: err, fits: fits(err, row?.sentence ?? "?") }).toEqual({ printed: err, fits: true });
    expect(err.trim().split("\n").length).toBeLessThanOrEqual(1);
  });

  test("the schema is of a newer release", async () => {
    const newer = await freshDatabase();
    const owner = postgres(newer.owner_url, { max: 1, onnotice: () => {} });
    await owner`insert into graphile_migrate.migrations (hash, previous_hash, filename) select 'x', hash, '999999.sql' from graphile_migrate.migrations order by filename desc limit 1`;
    await owner.end();
    const { code, err } = await brain(["migrate"], { OWNER_DATABASE_URL: newer.owner_url });
    const row = documented("the schema is of a newer release");
    expect({ code, documented: row?.code, fits: fits(err, row?.sentence ?? "?") }).toEqual({
      code: 9,
      documented: 9,
      fits: true,
    });
    await newer.drop();
  });

  test("the role brain_app is missing", async () => {
    // The role belongs to the whole server, which other tests are using: only that the docs have it.
    expect(documented("the role `brain_app` is missing")?.code).toBe(EXIT.roles_missing);
  });

  test("two at once in one folder: one runs, the other says so", async () => {
    const other = { BRAIN_DATA_DIR: join(folder.path, "two") };
    const first = startBrain(["up"], other);
    const second = startBrain(["up"], other);
    const [won, lost] = await Promise.allSettled([first, second]).then((both) =>
      both.sort((a) => (a.status === "fulfilled" ? -1 : 1)),
    );
    expect([won?.status, lost?.status]).toEqual(["fulfilled", "rejected"]);
    expect(String((lost as PromiseRejectedResult).reason)).toContain("ended with 7");
    if (won?.status === "fulfilled") {
      won.value.process.kill("SIGTERM");
      expect(await won.value.process.exited).toBe(0);
    }
  }, 20_000);

  test.if(process.getuid?.() === 0 && Bun.spawnSync(["sh", "-c", "command -v mount"]).success)(
    "the disk is full, and when there is room again it starts",
    async () => {
      const place = join(folder.path, "small");
      mkdirSync(place);
      if (!Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=70m,mode=755", "tmpfs", place]).success) return;
      try {
        const env = { BRAIN_DATA_DIR: join(place, "data") };
        const { code, err } = await brain(["up"], env);
        const row = documented("the disk is full");
        expect({ code, documented: row?.code, printed: err, fits: fits(err, row?.sentence ?? "?") }).toMatchObject({
          code: 10,
          documented: 10,
          fits: true,
        });
        Bun.spawnSync(["mount", "-o", "remount,size=400m", place]);
        const roomy = await startBrain(["up"], env);
        roomy.process.kill("SIGTERM");
        expect(await roomy.process.exited).toBe(0);
      } finally {
        Bun.spawnSync(["umount", "-l", place]);
      }
    },
    30_000,
  );
});

describe("a database that goes away", () => {
  const store = (content: string) =>
    fetch(`${up.url}/api/v1/memories`, {
      method: "POST",
      headers: { authorization: `Bearer ${up.token}`, "content-type": "application/json" },
      body: JSON.stringify({ content }),
    });

  test("kill -9 of the embedded server: 503 for a moment, then it is back by itself, nothing lost", async () => {
    const { id } = (await (await store("before the fall")).json()) as { id: string };
    const pid_file = join(folder.path, "running/postgres/postmaster.pid");
    for (let times = 0; times < 2; times++) {
      process.kill(Number(readFileSync(pid_file, "utf8").split("\n")[0]), "SIGKILL");
      const seen = new Set<number>();
      let answer = await store(`after fall ${times}, try 0`);
      for (let tries = 1; !(seen.has(503) && answer.status === 201) && tries < 500; tries++) {
        seen.add(answer.status);
        if (answer.status === 503) expect(answer.headers.get("retry-after")).toBe("1");
        await Bun.sleep(10);
        answer = await store(`after fall ${times}, try ${tries}`);
      }
      expect([...seen, answer.status].every((status) => status === 201 || status === 503)).toBe(true);
      expect(answer.status).toBe(201);
    }
    const kept = await fetch(`${up.url}/api/v1/memories/${id}`, { headers: { authorization: `Bearer ${up.token}` } });
    expect(kept.status).toBe(200);
  }, 20_000);
});

test("SIGTERM lets a running request end, and takes no more", async () => {
  // With a lifetime under a day, so that the token `up` prints is seen to be one the door takes.
  const service = await startBrain(["up"], {
    BRAIN_DATA_DIR: join(folder.path, "two"), // has its database from above
    JWT_MAX_LIFETIME_SECONDS: "600",
  });
  const slow = new TransformStream<string, string>();
  const writer = slow.writable.getWriter();
  const answer = fetch(`${service.url}/api/v1/memories`, {
    method: "POST",
    headers: { authorization: `Bearer ${service.token}`, "content-type": "application/json" },
    body: slow.readable.pipeThrough(new TextEncoderStream()),
  });
  await writer.write('{"content": "written ');
  await Bun.sleep(200);
  service.process.kill("SIGTERM");
  await Bun.sleep(300);
  await expect(fetch(`${service.url}/health/live`)).rejects.toThrow();
  await writer.write('while it was stopping"}');
  await writer.close();
  expect((await answer).status).toBe(201);
  expect(await service.process.exited).toBe(0);
}, 20_000);

test("an empty database is served, not ready, until it is migrated", async () => {
  const empty = await emptyDatabase();
  expect((await brain(["migrate"], { OWNER_DATABASE_URL: empty.owner_url })).code).toBe(0);
  await empty.drop();
});
