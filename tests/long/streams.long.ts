import { afterAll, beforeAll, expect, test } from "bun:test";
import { connectLegacy } from "../support/clients.ts";
import { freePort, spawnBrain } from "../support/processes.ts";
import { ada, openWorld, SETTINGS, tokenFor, type World } from "../support/world.ts";

/** Many legacy streams on one process, and many that come and go: by hand, `bun run test:long`. */
let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const STREAMS = 500;
const USERS = 10;
const CYCLES = 10_000;
/** Of those that come and go at once. */
const AT_ONCE = 8;

async function serve() {
  const port = freePort();
  const process = spawnBrain(["serve"], {
    DATABASE_URL: world.urls.service_url,
    JWT_SECRET_KEY: SETTINGS.jwt_secret,
    PORT: String(port),
  });
  const url = `http://127.0.0.1:${port}`;
  while (!(await fetch(`${url}/health/live`).catch(() => null))?.ok) await Bun.sleep(10);
  return {
    url,
    /** Memory in use, in megabytes. */
    memory: async () => Number(/VmRSS:\s+(\d+)/.exec(await Bun.file(`/proc/${process.pid}/status`).text())?.[1]) / 1024,
    /** Files and sockets it has open. */
    open: async () =>
      (await Array.fromAsync(new Bun.Glob("*").scan({ cwd: `/proc/${process.pid}/fd`, onlyFiles: false }))).length,
    async stop() {
      process.kill("SIGTERM");
      return process.exited;
    },
  };
}

/** A stream by a bare socket, once its first event is there: Bun's fetch has at most 256 requests at a time (1.4.5). */
async function listen(url: string, authorization: string) {
  const { hostname, port } = new URL(url);
  const opened = Promise.withResolvers<void>();
  let text = "";
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      data(_, data) {
        text += data.toString();
        if (text.includes("session_id=")) opened.resolve();
      },
      close: () => opened.reject(new Error(`closed: ${text}`)),
    },
  });
  socket.write(`GET /mcp/cursor/sse/me HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${authorization}\r\n\r\n`);
  await opened.promise;
  return () => socket.terminate();
}

/** Connections of the service, and its sessions and waiting answers. */
const left = async () => {
  const [row] = await world.owner<{ connections: number; sessions: number; messages: number }[]>`
    select (select count(*)::int from pg_stat_activity
            where datname = current_database() and usename like '%service' and application_name = 'postgres.js') as connections,
           (select count(*)::int from brain.mcp_sessions) as sessions,
           (select count(*)::int from brain.mcp_messages) as messages`;
  return row ?? { connections: -1, sessions: -1, messages: -1 };
};

test.if(process.platform === "linux")(
  `${STREAMS} open streams hold no connection, and less than 150 MB`,
  async () => {
    const service = await serve();
    const before = await service.memory();
    // A user has a hundred at most.
    const authorizations = await Promise.all(
      Array.from({ length: USERS }, async (_, index) => `Bearer ${await tokenFor({ ...ada, sub: `user-${index}` })}`),
    );
    const leaves: (() => void)[] = [];
    for (let index = 0; index < STREAMS; index++)
      leaves.push(await listen(service.url, authorizations[index % USERS] ?? ""));
    await Bun.sleep(16_000); // each says once that it is still here
    const after = await service.memory();
    const [{ busy } = { busy: -1 }] = await world.owner<{ busy: number }[]>`
      select count(*)::int as busy from pg_stat_activity
      where datname = current_database() and xact_start is not null and pid <> pg_backend_pid()`;
    const { connections, sessions } = await left();
    console.log({ streams: sessions, before_mb: Math.round(before), after_mb: Math.round(after), connections, busy });
    expect({ sessions, busy, is_small: after < 150 }).toEqual({ sessions: STREAMS, busy: 0, is_small: true });
    expect(connections).toBeLessThanOrEqual(12);

    const client = await connectLegacy(service.url, { authorization: authorizations[0] ?? "" });
    expect((await client.callTool({ name: "whoami", arguments: {} })).isError).toBeUndefined();
    await client.close();
    for (const leave of leaves) leave();
    while ((await left()).sessions > 0) await Bun.sleep(50);
    expect(await service.stop()).toBe(0);
  },
  300_000,
);

test.if(process.platform === "linux")(
  `${CYCLES} clients that come and go leave nothing behind`,
  async () => {
    const service = await serve();
    const authorization = `Bearer ${await tokenFor(ada)}`;
    const cycle = async () => (await listen(service.url, authorization))();
    const many = async (count: number) => {
      let started = 0;
      const one = async () => {
        while (started++ < count) await cycle();
      };
      await Promise.all(Array.from({ length: AT_ONCE }, one));
      while ((await left()).sessions > 0) await Bun.sleep(20);
    };
    await many(1000); // until everything is compiled and the pools are full
    const before = { mb: await service.memory(), open: await service.open() };
    const started = performance.now();
    await many(CYCLES);
    const seconds = (performance.now() - started) / 1000;
    await Bun.sleep(2000);
    const after = { mb: await service.memory(), open: await service.open() };
    const { sessions, messages } = await left();
    console.log({ cycles: CYCLES, per_second: Math.round(CYCLES / seconds), before, after });
    expect({ sessions, messages }).toEqual({ sessions: 0, messages: 0 });
    expect(after.open).toBeLessThanOrEqual(before.open + 2);
    expect(after.mb - before.mb).toBeLessThan(40);
    expect(await service.stop()).toBe(0);
  },
  1_200_000,
);
