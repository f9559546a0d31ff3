import { afterAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { temporaryFolder } from "../support/folder.ts";
import { brain, startBrain } from "../support/processes.ts";
import { startTestServer } from "../support/server.ts";

/** What docs/moving.md says, from the embedded server to one's own: the server of this run, on which nothing is yet. */

const folder = temporaryFolder();
const embedded = { BRAIN_DATA_DIR: join(folder.path, "embedded") };
const name = `brain_moved_${crypto.randomUUID().slice(0, 8)}`;
let root: postgres.Sql | undefined;

afterAll(async () => {
  folder[Symbol.dispose]();
  if (!root) return;
  await root`drop database if exists ${root(name)} with (force)`;
  const kept = await root<{ datname: string }[]>`select datname from pg_database where starts_with(datname, ${name})`;
  for (const { datname } of kept) await root`drop database ${root(datname)} with (force)`;
  for (const role of ["service", "owner"]) await root`drop role if exists ${root(`${name}_${role}`)}`;
  await root.end();
});

const done = async (args: string[], env: Record<string, string>) => {
  const { code, out, err } = await brain(args, env);
  expect({ args, code, err: code === 0 ? "" : err }).toEqual({ args, code: 0, err: "" });
  return out;
};

async function up(env: Record<string, string>) {
  const service = await startBrain(["up"], env);
  return {
    ...service,
    stop: async () => {
      service.process.kill("SIGTERM");
      expect(await service.process.exited).toBe(0);
    },
    call: async (path: string, token: string, body?: object) => {
      const answer = await fetch(`${service.url}/api/v1${path}`, {
        method: body ? "POST" : "GET",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        ...(body && { body: JSON.stringify(body) }),
      });
      return { status: answer.status, body: (await answer.json()) as { id?: string; content?: string } };
    },
  };
}

test("from the embedded server to one's own: every row and every token, and passwords rotated there", async () => {
  const before = await up(embedded);
  const stored = await before.call("/memories", before.token, { content: "Kept across the move." });
  expect(stored.status).toBe(201);
  await before.stop();

  const move = join(folder.path, "move.zip");
  await done(["backup", "--to", move, "--prove"], embedded);
  const { jwt_secret } = JSON.parse(readFileSync(join(embedded.BRAIN_DATA_DIR, "secrets.json"), "utf8"));

  const { admin_url } = await startTestServer();
  root = postgres(admin_url, { max: 1, onnotice: () => {} });
  const url = (role: string, password: string) =>
    Object.assign(new URL(admin_url), { username: `${name}_${role}`, password, pathname: `/${name}` }).href;
  const own = (password: string) => ({
    ROOT_DATABASE_URL: admin_url,
    OWNER_DATABASE_URL: url("owner", password),
    DATABASE_URL: url("service", password),
    JWT_SECRET_KEY: jwt_secret,
    BRAIN_DATA_DIR: join(folder.path, "own"),
  });
  await done(["migrate", "--create"], own("first"));
  await done(["restore", move, "--key", join(embedded.BRAIN_DATA_DIR, "backup.key")], own("first"));
  await done(["status"], own("first"));
  await done(["verify", "--audit"], own("first"));

  await done(["migrate", "--create"], own("second"));
  const after = await up({ ...own("second"), JWT_SECRET_KEY: "n".repeat(32), JWT_PREVIOUS_SECRET_KEYS: jwt_secret });
  const found = await after.call(`/memories/${stored.body.id}`, before.token);
  expect({ status: found.status, content: found.body.content }).toEqual({
    status: 200,
    content: "Kept across the move.",
  });
  expect((await after.call(`/memories/${stored.body.id}`, after.token)).status).toBe(200);
  await after.stop();
  expect(await brain(["status"], own("first"))).toMatchObject({ code: 4 });
}, 90_000);

test("embedded: passwords of the roles are those of secrets.json at each start", async () => {
  const env = { BRAIN_DATA_DIR: join(folder.path, "rotated") };
  await (await up(env)).stop();
  const file = join(env.BRAIN_DATA_DIR, "secrets.json");
  const secrets = JSON.parse(readFileSync(file, "utf8"));
  Object.assign(secrets, { owner_password: "o".repeat(32), service_password: "p".repeat(32) });
  await Bun.write(file, JSON.stringify(secrets));
  const again = await up(env);
  expect((await again.call("/memories", again.token, { content: "With other passwords." })).status).toBe(201);
  await again.stop();
}, 60_000);
