import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { loadConfig } from "../../src/config.ts";
import { createLog } from "../../src/log.ts";
import { type Service, startService } from "../../src/main.ts";
import { connectLegacy } from "../support/clients.ts";
import { listenBy, post as postTo } from "../support/streams.ts";
import {
  ada,
  ben,
  cyd,
  openWorld,
  otherAda,
  type Person,
  SETTINGS,
  samely,
  tokenFor,
  type World,
} from "../support/world.ts";

/** The legacy door over real sockets: only they are silent, slow or gone. */
let world: World;
let service: Service;
const logged: string[] = [];

const serve = (env: Record<string, string> = {}) =>
  startService(
    { ...loadConfig({ PORT: "0", RATE_LIMIT_BURST: "100000", ...env }) },
    world.urls.service_url,
    SETTINGS.jwt_secret,
    createLog("info", (line) => void logged.push(line)),
  );

beforeAll(async () => {
  world = await openWorld();
  service = await serve({ MCP_HEARTBEAT_SECONDS: "1" });
});
afterAll(async () => {
  await service.stop();
  await world.close();
});

const bearer = async (person: Person) => ({ authorization: `Bearer ${await tokenFor(person)}` });

const connect = async (person: Person, path?: string) => connectLegacy(service.url, await bearer(person), path);

const listen = (person: Person, url = service.url) => listenBy(person, url);

const post = (person: Person, path: string, message: unknown, url = service.url) => postTo(person, path, message, url);

const sessions = async () =>
  (await world.owner<{ id: string }[]>`select id from brain.mcp_sessions`).map(({ id }) => id);
const until = async (condition: () => Promise<boolean>) => {
  while (!(await condition())) await Bun.sleep(10);
};
const ping = { jsonrpc: "2.0", id: 1, method: "ping" };

describe("the SDK's own client", () => {
  test("connects, lists, calls; what it stores came through the client of the path", async () => {
    const client = await connect(ada);
    expect((await client.listTools()).tools.length).toBe(8);
    const stored = await client.callTool({ name: "add_memories", arguments: { text: "over the old door" } });
    const { memories } = stored.structuredContent as { memories: { id: string }[] };
    const { body } = await world.api(ada).get(`/memories/${memories[0]?.id}`);
    expect(body).toMatchObject({ content: "over the old door", app: "cursor", owner: "ada" });
    const problem = await client.callTool({ name: "get_memory", arguments: { memory_id: "x" } });
    expect(problem.isError).toBe(true);
    await client.close();
    await until(async () => (await sessions()).length === 0);
  });

  test("under its own name as under me, and a hundred calls at once are each answered", async () => {
    const client = await connect(ada, "/mcp/claude-desktop/sse/ada");
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => client.callTool({ name: "whoami", arguments: {} })),
    );
    expect(new Set(answers.map(({ structuredContent }) => (structuredContent as { user: string }).user))).toEqual(
      new Set(["ada"]),
    );
    await client.close();
  });

  test("stays through silence, with a comment line now and then", async () => {
    const { next, leave, response } = await listen(ada);
    expect({ type: response.headers.get("content-type"), id: response.headers.get("x-request-id")?.length }).toEqual({
      type: "text/event-stream",
      id: 36,
    });
    expect([await next(), await next()]).toEqual([": still here", ": still here"]);
    leave();
  });

  test("a cancelled call is ended, and its answer not sent", async () => {
    const { endpoint, next, leave } = await listen(ben);
    const blocker = world.owner.begin(async (tx) => {
      await tx`lock table brain.memories in access exclusive mode`;
      await post(ben, endpoint, {
        ...ping,
        id: 5,
        method: "tools/call",
        params: { name: "list_memories", arguments: {} },
      });
      await post(ben, endpoint, { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 5 } });
    });
    await blocker;
    await post(ben, endpoint, { ...ping, id: 6 });
    let event = await next();
    while (event?.startsWith(":")) event = await next();
    expect(event).toBe('event: message\ndata: {"result":{},"jsonrpc":"2.0","id":6}');
    leave();
  });
});

describe("what a session is bound to", () => {
  test.each([
    ["a colleague", ben],
    ["a user of the same name in another org", otherAda],
  ])("%s gets the answer of an unknown session, and nothing is delivered", async (_who, person) => {
    const { endpoint, next, leave } = await listen(ada);
    const foreign = await post(person, endpoint, { ...ping, id: "foreign" });
    const unknown = await post(person, `/mcp/messages/?session_id=${"0".repeat(32)}`, ping);
    expect([foreign.status, foreign.body.code, samely(foreign.body)]).toEqual([
      403,
      "SESSION_BINDING_INVALID",
      samely(unknown.body),
    ]);
    expect((await post(ada, endpoint, { ...ping, id: "own" })).status).toBe(202);
    let event = await next();
    while (event?.startsWith(":")) event = await next();
    expect(event).toContain('"id":"own"');
    leave();
  });

  test("each message's own token decides what it may do", async () => {
    const { endpoint, next, leave } = await listen(ada);
    const call = { ...ping, method: "tools/call", params: { name: "list_memories", arguments: {} } };
    await post({ ...ada, scopes: [] }, endpoint, call);
    let event = await next();
    while (event?.startsWith(":")) event = await next();
    expect(event).toContain("INSUFFICIENT_SCOPE");
    leave();
  });

  test("after its end it is unknown", async () => {
    const { endpoint, leave, session_id } = await listen(cyd);
    leave();
    await until(async () => !(await sessions()).includes(session_id));
    expect(await post(cyd, endpoint, ping)).toMatchObject({ status: 403, body: { code: "SESSION_BINDING_INVALID" } });
  });

  test("one without a sign of life is over", async () => {
    const { endpoint, session_id, leave } = await listen(cyd);
    await world.owner`update brain.mcp_sessions set touched_at = now() - interval '31 minutes' where id = ${session_id}`;
    expect((await post(cyd, endpoint, ping)).status).toBe(403);
    leave();
  });

  test("a living stream keeps its session alive", async () => {
    const brief = await serve({ MCP_SESSION_IDLE_SECONDS: "3", MCP_HEARTBEAT_SECONDS: "1" });
    const { endpoint, session_id, leave } = await listen(ben, brief.url);
    const [opened] = await world.owner<
      { touched_at: Date }[]
    >`select touched_at from brain.mcp_sessions where id = ${session_id}`;
    await until(async () => {
      const [now] = await world.owner<
        { touched_at: Date }[]
      >`select touched_at from brain.mcp_sessions where id = ${session_id}`;
      return (now?.touched_at ?? 0) > (opened?.touched_at ?? 0);
    });
    expect((await post(ben, endpoint, ping, brief.url)).status).toBe(202);
    leave();
    await brief.stop();
  });
});

describe("refused", () => {
  test.each([
    ["GET", "/mcp/cursor/sse/me"],
    ["GET", "/mcp/cursor/sse/ada"],
    ["POST", "/mcp/messages/?session_id=x"],
    ["POST", "/mcp/cursor/sse/me/messages/"],
    ["POST", "/mcp"],
    ["GET", "/mcp"],
    ["GET", "/mcp/nothing/at/all"],
  ])("%s %s without a token is 401 at once", async (method, path) => {
    const started = performance.now();
    const response = await fetch(service.url + path, { method, ...(method === "POST" && { body: "{" }) });
    const { code } = (await response.json()) as { code: string };
    expect({ status: response.status, code, challenge: response.headers.get("www-authenticate") }).toEqual({
      status: 401,
      code: "MISSING_AUTH",
      challenge: 'Bearer realm="mcp"',
    });
    expect(performance.now() - started).toBeLessThan(100);
  });

  test("another user in the path is answered like a bad token", async () => {
    const ask = async (path: string, headers: Record<string, string>) => {
      const response = await fetch(service.url + path, { headers });
      return [response.status, samely((await response.json()) as object)];
    };
    const foreign = await ask("/mcp/cursor/sse/ben", await bearer(ada));
    expect(foreign).toEqual(await ask("/mcp/cursor/sse/me", { authorization: "Bearer a.b.c" }));
    expect(foreign[0]).toBe(401);
    expect((await post(ada, "/mcp/cursor/sse/ben/messages/?session_id=x", ping)).status).toBe(401);
  });

  test.each([
    ["", 400, "MISSING_SESSION_ID"],
    ["?session_id=", 400, "MISSING_SESSION_ID"],
    ["?session_id=x", 400, "INVALID_SESSION_ID"],
    [`?session_id=${"0".repeat(31)}`, 400, "INVALID_SESSION_ID"],
    [`?session_id=${"0".repeat(32)}`, 403, "SESSION_BINDING_INVALID"],
  ])("a message to %j", async (query, status, code) => {
    for (const path of ["/mcp/messages/", "/mcp/messages", "/mcp/cursor/sse/me/messages/"])
      expect(await post(ada, path + query, ping)).toMatchObject({ status, body: { code } });
  });

  test.each([
    ["broken JSON", "{", 400],
    ["no message", "{}", 400],
    ["an empty batch", "[]", 400],
    ["21 messages", Array(21).fill(ping), 400],
    ["a NUL in an id", '{"jsonrpc":"2.0","id":"\\u0000","method":"ping"}', 422],
    ["over 1 MB", `"${"x".repeat(1_048_577)}"`, 413],
  ])("%s", async (_what, message, status) => {
    const { endpoint, leave } = await listen(ada);
    expect((await post(ada, endpoint, message)).status).toBe(status);
    leave();
  });

  test("HEAD opens nothing, another client name than a name is refused, and so is another Accept", async () => {
    const headers = await bearer(ada);
    await until(async () => (await sessions()).length === 0);
    expect((await fetch(`${service.url}/mcp/cursor/sse/me`, { method: "HEAD", headers })).status).toBe(405);
    expect((await fetch(`${service.url}/mcp/a%20b/sse/me`, { headers })).status).toBe(422);
    for (const accept of ["text/html", "text/event-stream;q=0", "text/*, text/event-stream;q=0"])
      expect((await fetch(`${service.url}/mcp/cursor/sse/me`, { headers: { ...headers, accept } })).status).toBe(406);
    expect(await sessions()).toEqual([]);
  });
});

describe("the end", () => {
  test("a stream that nobody reads is cut, and takes no memory with it", async () => {
    for (let index = 0; index < 40; index++)
      await world.api(cyd).post("/memories", { content: `${index} ${"long ".repeat(12_000)}` });
    const headers = await bearer(cyd);
    const { hostname, port } = new URL(service.url);
    let endpoint = "";
    const socket = await Bun.connect({
      hostname,
      port: Number(port),
      socket: {
        data(from, data) {
          endpoint ||= /data: (\/mcp\S+)/.exec(data.toString())?.[1] ?? "";
          if (endpoint) from.pause();
        },
      },
    });
    socket.write(
      `GET /mcp/cursor/sse/me HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${headers.authorization}\r\n\r\n`,
    );
    await until(async () => endpoint !== "");
    const call = { ...ping, method: "tools/call", params: { name: "list_memories", arguments: { limit: 40 } } };
    const before = process.memoryUsage().rss;
    let status = 202;
    for (let sent = 0; sent < 60 && status === 202; sent++) {
      ({ status } = await post(cyd, endpoint, call));
      await Bun.sleep(5);
    }
    expect(status).toBe(403);
    expect(process.memoryUsage().rss - before).toBeLessThan(150_000_000);
    socket.terminate();
  }, 20_000);

  test("open streams hold no connection to the database", async () => {
    const streams = await Promise.all(Array.from({ length: 40 }, () => listen(ada)));
    const list = await Promise.all(Array.from({ length: 20 }, () => world.api(ada).get("/memories")));
    expect(new Set(list.map(({ status }) => status))).toEqual(new Set([200]));
    const [{ open } = { open: -1 }] = await world.owner<{ open: number }[]>`
      select count(*)::int as open from pg_stat_activity where datname = current_database() and xact_start is not null and pid <> pg_backend_pid()`;
    expect(open).toBe(0);
    for (const { leave } of streams) leave();
    await until(async () => (await sessions()).length === 0);
  });

  test("a session that is gone takes its stream along", async () => {
    const brief = await serve({ MCP_SESSION_IDLE_SECONDS: "3", MCP_HEARTBEAT_SECONDS: "1" });
    const { next, session_id } = await listen(ben, brief.url);
    await world.owner`delete from brain.mcp_sessions where id = ${session_id}`;
    let event = await next();
    while (event?.startsWith(":")) event = await next();
    expect(event).toBeUndefined();
    await brief.stop();
  });

  test("one stream takes 128 calls at once and no more; the others are told to wait", async () => {
    const { endpoint, leave } = await listen(ada);
    const call = (id: number) => ({
      ...ping,
      id,
      method: "tools/call",
      params: { name: "list_memories", arguments: {} },
    });
    const statuses = await world.owner.begin(async (tx) => {
      await tx`lock table brain.memories in access exclusive mode`;
      const sent = [];
      for (let batch = 0; batch < 7; batch++)
        sent.push(
          (
            await post(
              ada,
              endpoint,
              Array.from({ length: 20 }, (_, n) => call(batch * 20 + n)),
            )
          ).status,
        );
      return sent;
    });
    expect(statuses).toEqual([202, 202, 202, 202, 202, 202, 503]);
    leave();
  });

  test("one user has a hundred streams and no more, and takes none from another", async () => {
    const own = await serve();
    const headers = await bearer(cyd);
    const gone = new AbortController();
    const streams: Response[] = []; // one that nothing refers to is closed with the rubbish
    const open = async (of = headers) => {
      const stream = await fetch(`${own.url}/mcp/cursor/sse/me`, { headers: of, signal: gone.signal });
      streams.push(stream);
      return stream.status;
    };
    const statuses = await Promise.all(Array.from({ length: 110 }, () => open()));
    expect(statuses.sort()).toEqual([...Array(100).fill(200), ...Array(10).fill(503)]);
    expect(await open()).toBe(503);
    expect(await open(await bearer(ada))).toBe(200);
    gone.abort();
    await own.stop();
  });

  test("stopping lets the calls that were taken end, and sends their answers", async () => {
    const other = await serve();
    const { endpoint, next } = await listen(ben, other.url);
    const stopped = await world.owner.begin(async (tx) => {
      await tx`lock table brain.memories in access exclusive mode`;
      const taken = await post(
        ben,
        endpoint,
        {
          ...ping,
          id: "last",
          method: "tools/call",
          params: { name: "add_memories", arguments: { text: "the last word" } },
        },
        other.url,
      );
      expect(taken.status).toBe(202);
      const stopping = other.stop();
      await Bun.sleep(100);
      return { stopping };
    });
    const event = await next();
    expect(event).toContain('"id":"last"');
    expect(event).toContain("Stored 1 memory");
    expect(await next()).toBeUndefined();
    await stopped.stopping;
  });

  test("stopping ends the streams, at once, and their sessions", async () => {
    const other = await serve();
    const { next, session_id } = await listen(ada, other.url);
    const started = performance.now();
    await other.stop();
    expect(await next()).toBeUndefined();
    expect(performance.now() - started).toBeLessThan(2000);
    await until(async () => !(await sessions()).includes(session_id));
  });
});
