import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { temporaryFolder } from "../support/folder.ts";
import { brain, startBrain } from "../support/processes.ts";

/** The embedded mode as a person meets it: real processes, real sockets. */
const folder = temporaryFolder();
const env = { BRAIN_DATA_DIR: folder.path };
let up: Awaited<ReturnType<typeof startBrain>>;

/** The server takes its pid file away when it ends; the process itself may stay a zombie of whoever adopts it. */
const isRunning = (place: string) => existsSync(join(place, "postgres/postmaster.pid"));
const postmaster = () => Number(readFileSync(join(folder.path, "postgres/postmaster.pid"), "utf8").split("\n")[0]);

const store = (content: string, token = up.token) =>
  fetch(`${up.url}/api/v1/memories`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ content }),
  });

beforeAll(async () => {
  up = await startBrain(["up"], env);
}, 30_000);

afterAll(async () => {
  up.process.kill("SIGTERM");
  await up.process.exited;
  folder[Symbol.dispose]();
});

describe("a first start", () => {
  test("prints an MCP configuration that works", async () => {
    const [configuration = ""] = /^\{[\s\S]*?^\}/m.exec(up.out) ?? [];
    const { url, headers } = JSON.parse(configuration).mcpServers["coding-brain"];
    const client = new Client({ name: "test", version: "1" });
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
    expect((await client.listTools()).tools.length).toBe(8);
    const { structuredContent } = await client.callTool({ name: "whoami", arguments: {} });
    expect(structuredContent).toMatchObject({ user: "local", org: "local" });
    await client.close();
  });

  test("prints a curl that stores a memory", async () => {
    const [command = ""] = /^curl .*$/m.exec(up.out) ?? [];
    const curl = Bun.spawnSync(["sh", "-c", command]);
    expect(JSON.parse(curl.stdout.toString())).toMatchObject({ content: "We deploy on Thursdays.", owner: "local" });
  });

  test("keeps its secrets to itself", () => {
    expect(statSync(join(folder.path, "secrets.json")).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder.path, "postgres")).mode & 0o077).toBe(0);
  });

  test("answers a Host that is none with a problem, not with our source", async () => {
    const answer = await new Promise<string>((resolve) => {
      let text = "";
      void Bun.connect({
        hostname: "127.0.0.1",
        port: Number(new URL(up.url).port),
        socket: {
          open: (socket) => void socket.write("GET /health/live HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n"),
          data(_socket, data) {
            text += data.toString();
          },
          close: () => resolve(text),
        },
      });
    });
    expect(answer).toStartWith("HTTP/1.1 400");
    expect(answer.toLowerCase()).toContain("x-request-id");
    expect(answer).toContain('"code":"MALFORMED"');
  });
});

describe("while it runs", () => {
  test("a token made on the command line is good", async () => {
    const args = [
      "--user",
      "ada",
      "--org",
      "acme",
      "--scopes",
      "memories:read memories:write",
      "--grants",
      "project:acme/web",
    ];
    const { code, out } = await brain(["token", ...args], env);
    expect(code).toBe(0);
    expect((await store("by ada", out.trim())).status).toBe(201);
  });

  test("a token is revoked on the command line, by itself or by its jti, at once", async () => {
    for (const by_jti of [false, true]) {
      const minted = await brain(
        ["token", "--user", "ada", "--org", "acme", "--scopes", "memories:write", "--json"],
        env,
      );
      const { token, jti } = JSON.parse(minted.out);
      expect((await store(`before ${by_jti}`, token)).status).toBe(201);
      const revoked = await brain(["token", "revoke", ...(by_jti ? [jti, "--org", "acme"] : [token])], env);
      expect(revoked.code).toBe(0);
      const answer = await store("after", token);
      expect({ status: answer.status, body: await answer.json() }).toMatchObject({
        status: 401,
        body: { code: "TOKEN_REVOKED" },
      });
    }
    expect((await brain(["token", "revoke", "nonsense"], env)).code).toBe(2);
  }, 10_000);

  test("a second one says who holds the folder", async () => {
    const { code, err } = await brain(["up"], env);
    expect({ code, said: err.includes(folder.path) }).toEqual({ code: 7, said: true });
    expect((await store("undisturbed")).status).toBe(201);
  });

  test("a taken port is named, and the other folder's database stopped again", async () => {
    using other = temporaryFolder();
    const { port } = new URL(up.url);
    const { code, err } = await brain(["up"], { BRAIN_DATA_DIR: other.path, PORT: port });
    expect({ code, said: err.includes(`Port ${port}`) }).toEqual({ code: 6, said: true });
    expect(isRunning(other.path)).toBe(false);
  }, 20_000);

  test("the variables for graphile-migrate and psql are printed, and status finds nothing pending", async () => {
    const { code, out } = await brain(["env"], env);
    expect(code).toBe(0);
    expect(out.match(/^export \w+='postgres:\/\/.*'$/gm)?.length).toBe(3);
    expect((await brain(["db", "status"], env)).code).toBe(0);
  }, 10_000);
});

describe("kill -9", () => {
  test("of the service loses nothing that was answered, and the next start just works", async () => {
    const answered: string[] = [];
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      for (let index = 0; ; index++) {
        const response = await store(`survivor ${writer}.${index}`).catch(() => undefined);
        if (response?.status !== 201) return;
        answered.push(((await response.json()) as { id: string }).id);
      }
    });
    while (answered.length < 40 && up.process.exitCode === null) await Bun.sleep(5);
    up.process.kill("SIGKILL");
    await Promise.all([...writers, up.process.exited]);

    up = await startBrain(["up"], env);
    const kept = await Promise.all(
      answered.map(async (id) => {
        const headers = { authorization: `Bearer ${up.token}` };
        return (await fetch(`${up.url}/api/v1/memories/${id}`, { headers })).status;
      }),
    );
    expect(kept).toEqual(answered.map(() => 200));
  }, 20_000);

  test("of the database: answers are 503 until the next start, which just works", async () => {
    process.kill(postmaster(), "SIGKILL");
    let answer = await store("into the void");
    while (answer.status === 201) answer = await store("a backend outlives its postmaster for a moment");
    expect({ status: answer.status, retry: answer.headers.get("retry-after") }).toEqual({ status: 503, retry: "1" });
    up.process.kill("SIGKILL");
    await up.process.exited;
    up = await startBrain(["up"], env);
    expect((await store("back again")).status).toBe(201);
  }, 20_000);
});

test("variables for psql do not lead elsewhere", async () => {
  const odd = { PGSSLMODE: "require", PGOPTIONS: "-c role=nope", PGHOST: "nowhere", PGTARGETSESSIONATTRS: "read-only" };
  expect((await brain(["migrate"], { ...env, ...odd })).code).toBe(0);
});

test("migrate without a running database starts it, migrates, stops it; env finds none then", async () => {
  using other = temporaryFolder();
  const elsewhere = { BRAIN_DATA_DIR: other.path };
  expect(await brain(["migrate"], elsewhere)).toMatchObject({ code: 0, out: expect.stringContaining("schema is at") });
  expect(isRunning(other.path)).toBe(false);
  expect((await brain(["env"], elsewhere)).code).toBe(4);
}, 20_000);

test("Ctrl-C, handed on twice as npx does, stops all of it at once", async () => {
  expect(isRunning(folder.path)).toBe(true);
  const started = performance.now();
  up.process.kill("SIGINT");
  up.process.kill("SIGINT");
  expect(await up.process.exited).toBe(0);
  expect(performance.now() - started).toBeLessThan(5000);
  expect(isRunning(folder.path)).toBe(false);
  up = await startBrain(["up"], env);
  expect((await store("once more")).status).toBe(201);
}, 20_000);

test.if(process.getuid?.() === 0)(
  "as root under a folder closed to others, the database lives where its user may enter, and is said to",
  async () => {
    using folder = temporaryFolder();
    chmodSync(folder.path, 0o700);
    const other = await startBrain(["up"], { BRAIN_DATA_DIR: join(folder.path, "data") });
    const [, place = ""] = /The database lives in (\S+):/.exec(other.out) ?? [];
    expect(place).toStartWith("/var/lib/coding-brain/");
    expect(isRunning(place)).toBe(true);
    other.process.kill("SIGTERM");
    expect(await other.process.exited).toBe(0);
    expect(isRunning(place)).toBe(false);
    rmSync(place, { recursive: true });
  },
  20_000,
);
