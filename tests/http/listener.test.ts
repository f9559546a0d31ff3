import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { loadConfig } from "../../src/config.ts";
import { createLog } from "../../src/log.ts";
import { type Service, startService } from "../../src/main.ts";
import { openWorld, type Person, SETTINGS, tokenFor, type World } from "../support/world.ts";

/** What only a real listener shows. */
let world: World;
let service: Service;
beforeAll(async () => {
  world = await openWorld();
  const env = { PORT: "0", RATE_LIMIT_RPM: "1", RATE_LIMIT_BURST: "3", TRUSTED_PROXIES: "127.0.0.1, 10.0.0.0/8" };
  service = await startService(loadConfig(env), world.urls.service_url, SETTINGS.jwt_secret, createLog("silent"));
});
afterAll(async () => {
  await service.stop();
  await world.close();
});

const header = (answer: string, name: string) => new RegExp(`^${name}: (.*)\r$`, "im").exec(answer)?.[1];

/** Sends bytes as they are and gives what comes back, until the other side closes or has answered. */
const exchange = (head: string, body: Iterable<Uint8Array> = []) =>
  new Promise<string>((resolve) => {
    const { hostname, port } = new URL(service.url);
    const socket = connect(Number(port), hostname);
    let answer = "";
    socket.on("data", (bytes) => {
      answer += bytes;
      if (header(answer, "content-length") || answer.endsWith("\r\n\r\n")) socket.end();
    });
    socket.on("error", () => {}); // it may close while we still send
    socket.on("close", () => resolve(answer));
    socket.write(head);
    const chunks = body[Symbol.iterator]();
    const send = () => {
      for (let next = chunks.next(); !next.done && !socket.destroyed; next = chunks.next())
        if (!socket.write(next.value)) return;
    };
    socket.on("drain", send);
    send();
  });

const SECURITY = ["content-security-policy", "strict-transport-security", "x-frame-options", "x-content-type-options"];

function expectOurs(answer: string, status: number, code: string) {
  expect(answer).toStartWith(`HTTP/1.1 ${status} `);
  expect(answer).toContain(`"code":"${code}"`);
  for (const name of [...SECURITY, "referrer-policy", "permissions-policy", "x-request-id"])
    expect([name, header(answer, name)]).toEqual([name, expect.any(String)]);
}

/** With as many and as long grants as a token may have, and as many scopes. */
const widest = (): Person => {
  const grants = Array.from({ length: 256 }, (_, index) => `team:${String(index).padStart(507, "x")}`);
  return { org: "o".repeat(256), sub: "s".repeat(256), grants };
};

describe("what is too large", () => {
  test("the longest token there can be is let in", async () => {
    const token = await tokenFor(widest());
    expect(token.length).toBeGreaterThan(170_000);
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch(`${service.url}/api/v1/tokens/me`, { headers });
    expect([answer.status, ((await answer.json()) as { grants: string[] }).grants.length]).toEqual([200, 257]);
  });

  test.each([
    ["a header", 16_400, `GET /health/live HTTP/1.1\r\nX-Large: ${"x".repeat(16_400)}`],
    ["an address", 200_000, `GET /health/live?${"x".repeat(200_000)} HTTP/1.1`],
    ["a token", 200_000, `GET /api/v1/memories HTTP/1.1\r\nAuthorization: Bearer ${"x".repeat(200_000)}`],
  ])("%s of %d bytes is refused in our words", async (_what, _bytes, head) => {
    expectOurs(await exchange(`${head}\r\nHost: localhost\r\n\r\n`), 431, "HEADERS_TOO_LARGE");
  });

  test("a body of 100 MB is refused in our words, and is not kept", async () => {
    const token = await tokenFor({ org: "acme", sub: "large" });
    const head = (more: string) =>
      `POST /api/v1/memories HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\n${more}\r\n`;
    const megabytes = Array<Uint8Array>(100).fill(new Uint8Array(1_048_576).fill(32));
    const before = process.memoryUsage.rss();
    expectOurs(await exchange(head(`Authorization: Bearer ${token}\r\n`), megabytes), 413, "TOO_LARGE");
    expectOurs(await exchange(head("X-Forwarded-For: 192.0.2.77\r\n"), megabytes), 401, "MISSING_AUTH");
    expect(process.memoryUsage.rss() - before).toBeLessThan(50 * 1_048_576);
  });
});

test("addresses are told apart by what a trusted proxy says, and by nothing the client adds to it", async () => {
  const knock = async (forwarded: string) => {
    const { status, headers } = await fetch(`${service.url}/api/v1/memories`, {
      headers: { "x-forwarded-for": forwarded },
    });
    return [status, headers.get("x-ratelimit-remaining")];
  };
  expect(await knock("192.0.2.1")).toEqual([401, "2"]);
  expect(await knock("192.0.2.2")).toEqual([401, "2"]);
  expect(await knock("198.51.100.9, 192.0.2.1")).toEqual([401, "1"]);
  expect(await knock("192.0.2.9, 192.0.2.1, 10.1.2.3")).toEqual([401, "0"]);
  expect(await knock("192.0.2.1")).toEqual([429, "0"]);
  expect(await knock("2001:db8::1")).toEqual([401, "2"]);
  expect(await knock("2001:db8::2")).toEqual([401, "1"]);
});

describe("a large answer", () => {
  /** What comes of /openapi.json, read by read; an address of its own each time, so that no limit is met. */
  const reads = (version: string, from: string) =>
    new Promise<string[]>((resolve) => {
      const { hostname, port } = new URL(service.url);
      const socket = connect(Number(port), hostname);
      const all: string[] = [];
      socket.on("data", (bytes) => all.push(String(bytes)));
      socket.on("close", () => resolve(all));
      const headers = [`Host: ${hostname}`, `X-Forwarded-For: ${from}`, "Connection: close"].join("\r\n");
      socket.write(`GET /openapi.json HTTP/${version}\r\n${headers}\r\n\r\n`);
    });

  test("comes with its headers, not after each of them", async () => {
    const [first = "", ...rest] = await reads("1.1", "198.51.100.1");
    expect(first).toContain("\r\n\r\n");
    expect(header(first, "x-request-id")).toBeString();
    expect(header(first, "transfer-encoding")).toBe("chunked");
    expect(first.length).toBeGreaterThan(15_000);
    const [, , chunk = ""] = /\r\n\r\n([0-9a-f]+)\r\n(.*)\r\n0\r\n\r\n$/s.exec([first, ...rest].join("")) ?? [];
    expect(JSON.parse(chunk)).toHaveProperty("openapi", "3.1.0");
  });

  test("is whole for a client of HTTP/1.0 too, such as an older proxy", async () => {
    const answer = (await reads("1.0", "198.51.100.2")).join("");
    expect(header(answer, "transfer-encoding")).toBeUndefined();
    expect(JSON.parse(answer.slice(answer.indexOf("\r\n\r\n")))).toHaveProperty("openapi", "3.1.0");
  });

  test("reaches a slow reader whole, though the service is told to stop", async () => {
    const person = { org: "slow", sub: "reader" };
    const stopping = await startService(
      loadConfig({ PORT: "0" }),
      world.urls.service_url,
      SETTINGS.jwt_secret,
      createLog("silent"),
    );
    for (let batch = 0; batch < 10; batch++) {
      const memories = Array.from({ length: 10 }, (_, n) => ({ content: `note ${batch}${n} ${"-".repeat(60_000)}` }));
      expect((await world.api(person).post("/memories/batch", { memories })).status).toBe(201);
    }
    const { hostname, port } = new URL(stopping.url);
    const socket = connect(Number(port), hostname);
    const came: Buffer[] = [];
    const closed = new Promise((resolve) => socket.on("close", resolve));
    socket.on("data", (bytes) => came.push(bytes));
    const token = await tokenFor(person);
    socket.write(
      `GET /api/v1/memories?size=100 HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    );
    await new Promise((resolve) => socket.once("data", resolve));
    socket.pause();
    await Bun.sleep(200);
    const stopped = stopping.stop();
    await Bun.sleep(500);
    socket.resume();
    await Promise.all([stopped, closed]);
    const answer = String(Buffer.concat(came));
    expect(answer.length).toBeGreaterThan(6_000_000);
    expect(answer).toEndWith("\r\n0\r\n\r\n");
  });
});
