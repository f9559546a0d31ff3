import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import postgres from "postgres";
import { connectLegacy } from "../support/clients.ts";
import { freePort, spawnBrain } from "../support/processes.ts";
import { listenBy, post } from "../support/streams.ts";
import {
  ada,
  ben,
  openWorld,
  otherAda,
  type Person,
  SETTINGS,
  samely,
  tokenFor,
  type World,
} from "../support/world.ts";

/** Several processes on one database, and clients whose messages reach any of them. */
let world: World;
let here: Process;
let there: Process;
beforeAll(async () => {
  world = await openWorld();
  [here, there] = await Promise.all([serve(), serve()]);
});
afterAll(async () => {
  await Promise.all([here.stop(), there.stop()]);
  await world.close();
});

type Process = Awaited<ReturnType<typeof serve>>;

async function serve() {
  const port = freePort();
  const process = spawnBrain(["serve"], {
    DATABASE_URL: world.urls.service_url,
    JWT_SECRET_KEY: SETTINGS.jwt_secret,
    PORT: String(port),
  });
  const url = `http://127.0.0.1:${port}`;
  while (!(await fetch(`${url}/health/live`).catch(() => null))?.ok) await Bun.sleep(10);
  const end = async (signal: "SIGTERM" | "SIGKILL") => {
    process.kill(signal);
    await process.exited;
  };
  return { url, stop: () => end("SIGTERM"), kill: () => end("SIGKILL") };
}

const bearer = async (person: Person) => ({ authorization: `Bearer ${await tokenFor(person)}` });
const ping = (id: number | string) => ({ jsonrpc: "2.0", id, method: "ping" });
const refusal = async (person: Person, path: string, url: string) => {
  const { status, body } = await post(person, path, ping("x"), url);
  return [status, samely(body as object)];
};

describe("a stream on one process, its messages on another", () => {
  test("a thousand are each answered once, in order", async () => {
    const { endpoint, message, leave } = await listenBy(ada, here.url);
    const headers = { ...(await bearer(ada)), "content-type": "application/json" };
    const came: unknown[] = [];
    const all = (async () => {
      while (came.length < 1000) came.push(((await message()) as { id: unknown }).id);
    })();
    for (let id = 0; id < 1000; ) {
      const { status } = await fetch(there.url + endpoint, { method: "POST", headers, body: JSON.stringify(ping(id)) });
      expect([202, 503]).toContain(status);
      // Not taken while too many have no answer: a client waits, and posts it again.
      if (status === 202) id++;
      else await Bun.sleep(20);
    }
    await all;
    expect(came).toEqual(Array.from({ length: 1000 }, (_, id) => id));
    // and nothing after them
    await post(ada, endpoint, ping("last"), there.url);
    expect(await message()).toMatchObject({ id: "last" });
    leave();
  }, 60_000);

  test("behind a round robin the SDK's own client notices nothing", async () => {
    let turn = 0;
    const proxy = Bun.serve({
      port: 0,
      idleTimeout: 0,
      fetch: (request) => {
        const { pathname, search } = new URL(request.url);
        return fetch([here, there][turn++ % 2]?.url + pathname + search, request as BunFetchRequestInit);
      },
    });
    const client = await connectLegacy(`http://127.0.0.1:${proxy.port}`, await bearer(ada));
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        client.callTool({ name: "add_memories", arguments: { text: `round robin ${index}` } }),
      ),
    );
    expect(answers.filter(({ isError }) => isError)).toEqual([]);
    const { body } = await world.api(ada).get("/memories?size=1");
    expect(body.total).toBe(100);
    await client.close();
    await proxy.stop(true);
  }, 30_000);

  test("a call is cancelled where it runs, whoever hears of it", async () => {
    const { endpoint, message, leave } = await listenBy(ben, here.url);
    const list = { ...ping(5), method: "tools/call", params: { name: "list_memories", arguments: {} } };
    await world.owner.begin(async (tx) => {
      await tx`lock table brain.memories in access exclusive mode`;
      await post(ben, endpoint, list, there.url);
      await post(
        ben,
        endpoint,
        { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 5 } },
        here.url,
      );
      await Bun.sleep(200);
    });
    await post(ben, endpoint, ping(6), there.url);
    expect(await message()).toMatchObject({ id: 6 });
    leave();
  });

  test("the toolsets asked for at the stream hold for its messages everywhere", async () => {
    const { endpoint, message, leave } = await listenBy(ada, here.url, "/mcp/cursor/sse/me?toolsets=admin");
    await post(ada, endpoint, { ...ping(1), method: "tools/list" }, there.url);
    const { result } = (await message()) as { result: { tools: { name: string }[] } };
    expect(result.tools.map(({ name }) => name)).toContain("delete_all_memories");
    leave();
  });

  test("a listener that was cut off listens again, and fetches what it has missed", async () => {
    const { endpoint, message, session_id, leave } = await listenBy(ada, here.url);
    await world.owner`
      insert into brain.mcp_messages (org_id, user_id, session_id, body)
      select org_id, user_id, id, '{"jsonrpc":"2.0","id":"missed","result":{}}' from brain.mcp_sessions where id = ${session_id}`;
    const admin = postgres(world.urls.admin_url, { max: 1 });
    const ended = await admin`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name like 'coding-brain %'`;
    await admin.end();
    expect(ended.length).toBeGreaterThan(0);
    expect(await message()).toMatchObject({ id: "missed" });
    await post(ada, endpoint, ping(7), there.url);
    expect(await message()).toMatchObject({ id: 7 });
    while ((await world.owner`select from brain.mcp_messages`).length > 0) await Bun.sleep(5);
    leave();
  });
});

describe("a session's id from elsewhere", () => {
  const unknown = () => refusal(ada, `/mcp/messages/?session_id=${"0".repeat(32)}`, there.url);

  test.each([
    ["of a colleague", ben],
    ["of another org", otherAda],
  ])("%s: the answer of an unknown one, nothing delivered, and an audit entry", async (_who, person) => {
    const { endpoint, message, leave } = await listenBy(ada, here.url);
    const before = await denials(person);
    for (const { url } of [here, there]) expect(await refusal(person, endpoint, url)).toEqual(await unknown());
    expect(await denials(person)).toBe(before + 2);
    await post(ada, endpoint, ping("own"), there.url);
    expect(await message()).toMatchObject({ id: "own" });
    leave();
  });

  test("after its end", async () => {
    const { endpoint, leave } = await listenBy(ada, here.url);
    leave();
    while ((await world.owner`select from brain.mcp_sessions where ${endpoint} like '%' || id`).length > 0)
      await Bun.sleep(5);
    const before = await denials(ada);
    for (const { url } of [here, there]) expect(await refusal(ada, endpoint, url)).toEqual(await unknown());
    expect(await denials(ada)).toBe(before + 4); // the two, and the unknown ones they are compared with
  });

  test("after its process was killed, and another has started", async () => {
    const victim = await serve();
    const { endpoint } = await listenBy(ada, victim.url);
    expect((await post(ada, endpoint, ping(1), there.url)).status).toBe(202);
    await victim.kill();
    const next = await serve();
    const before = await denials(ada);
    // Its connection is closed by its end, and PostgreSQL notices in a moment.
    while ((await post(ada, endpoint, ping(2), there.url)).status === 202) await Bun.sleep(5);
    for (const { url } of [there, next]) expect(await refusal(ada, endpoint, url)).toEqual(await unknown());
    expect(await denials(ada)).toBeGreaterThan(before);
    await next.stop();
  });

  async function denials({ org, sub }: Person) {
    const [{ count } = { count: -1 }] = await world.owner<{ count: number }[]>`
      select count(*)::int as count from brain.audit_events
      where org_id = app.org_key(${org}) and sub = ${sub} and code = 'SESSION_BINDING_INVALID'`;
    return count;
  }
});
