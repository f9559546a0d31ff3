import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { loadConfig } from "../../src/config.ts";
import { createLog } from "../../src/log.ts";
import { startService } from "../../src/main.ts";
import { FIXTURES, proxyWithToken } from "../support/conformance.ts";
import { temporaryFolder } from "../support/folder.ts";
import { ada, ben, openWorld, otherAda, type Person, SETTINGS, tokenFor, type World } from "../support/world.ts";

/** The protocol's official suite against our whole stack, with the tools, resources and prompts it wants. */
const SUITE = join(import.meta.dir, "../../node_modules/@modelcontextprotocol/conformance/dist/index.js");
const REQUIREMENTS = "2025-11-25";

interface Check {
  id: string;
  status: "SUCCESS" | "FAILURE" | "WARNING" | "INFO" | "SKIPPED";
  errorMessage?: string;
}

let world: World;
let service: Awaited<ReturnType<typeof startService>>;
let proxy: Awaited<ReturnType<typeof proxyWithToken>>;
beforeAll(async () => {
  world = await openWorld();
  const config = loadConfig({ PORT: "0", RATE_LIMIT_BURST: "100000" });
  service = await startService(config, world.urls.service_url, SETTINGS.jwt_secret, createLog("silent"), FIXTURES);
  proxy = await proxyWithToken(service.url, await tokenFor(ada));
});
afterAll(async () => {
  await proxy.stop();
  await service.stop();
  await world.close();
});

const run = async (...args: string[]) => {
  const suite = Bun.spawn([process.execPath, SUITE, ...args], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  const [code, out] = await Promise.all([suite.exited, suite.stdout.text()]);
  return { code, out };
};

test(`every scored scenario of ${REQUIREMENTS} passes, each with checks; none is known to fail`, async () => {
  const { out: list } = await run("list", "--requirements", REQUIREMENTS);
  const [, listed = ""] = /^Server scenarios.*\n((?: {2}- .*\n)+)/m.exec(list) ?? [];
  const scored = [...listed.matchAll(/- (\S+)/g)].map(([, name = ""]) => name);
  expect(scored.length).toBe(30);

  using folder = temporaryFolder();
  const { code, out } = await run(
    "server",
    "--url",
    `${proxy.url}/mcp`,
    "--requirements",
    REQUIREMENTS,
    "-o",
    folder.path,
  );
  const checks = new Map<string, Check[]>();
  for (const path of new Bun.Glob("*/checks.json").scanSync(folder.path)) {
    const name = /^server-(.*)-\d{4}-\d\d-\d\dT/.exec(path)?.[1] ?? path;
    checks.set(name, await Bun.file(join(folder.path, path)).json());
  }
  const fallen = scored.flatMap((name) => {
    const of = checks.get(name) ?? [];
    const bad = of.filter(({ status }) => status === "FAILURE" || status === "WARNING");
    const is_checked = of.some(({ status }) => status === "SUCCESS");
    return [
      ...bad.map((check) => ({ name, ...check })),
      ...(is_checked ? [] : [{ name, status: "nothing was checked" }]),
    ];
  });
  expect({ fallen, code, out: code === 0 ? "" : out }).toEqual({ fallen: [], code: 0, out: "" });
  const passed = scored.flatMap((name) => checks.get(name) ?? []).filter(({ status }) => status === "SUCCESS");
  console.log(
    `conformance ${REQUIREMENTS}: ${scored.length} of 30 scored server scenarios pass, ${passed.length} checks`,
  );
}, 60_000);

describe("what a call asks its client", () => {
  const post = async (
    person: Person,
    message: object,
    accept = "application/json, text/event-stream",
    signal?: AbortSignal,
  ) =>
    fetch(`${service.url}/mcp`, {
      method: "POST",
      headers: { authorization: `Bearer ${await tokenFor(person)}`, "content-type": "application/json", accept },
      body: JSON.stringify({ jsonrpc: "2.0", ...message }),
      ...(signal && { signal }),
    });
  const elicit = { id: 1, method: "tools/call", params: { name: "test_elicitation", arguments: { message: "?" } } };
  const reply = (id: unknown, username: string) => ({ id, result: { action: "accept", content: { username } } });
  /** The messages of an event stream, as they come. */
  async function* messagesOf(response: Response) {
    let text = "";
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk;
      for (let cut = text.indexOf("\n\n"); cut !== -1; cut = text.indexOf("\n\n")) {
        yield JSON.parse(text.slice(text.indexOf("{"), cut));
        text = text.slice(cut + 2);
      }
    }
  }

  test.each([
    ["a colleague's", ben],
    ["another org's", otherAda],
  ])("%s reply to it does not count", async (_who, other) => {
    const messages = messagesOf(await post(ada, elicit));
    const { value: asked } = await messages.next();
    expect(asked.method).toBe("elicitation/create");
    expect((await post(other, reply(asked.id, "forged"))).status).toBe(202);
    expect((await post(ada, reply(asked.id, "mine"))).status).toBe(202);
    const { value: answered } = await messages.next();
    expect(answered.result.content[0].text).toBe('User response: action=accept, content={"username":"mine"}');
    expect((await messages.next()).done).toBe(true);
  });

  test("a client that takes no events cannot be asked, and is told so", async () => {
    const answer = (await (await post(ada, elicit, "application/json")).json()) as { result: { isError: boolean } };
    expect(answer.result.isError).toBe(true);
  });

  test("one that leaves in the middle leaves nothing behind", async () => {
    const leave = new AbortController();
    const messages = messagesOf(await post(ada, elicit, undefined, leave.signal));
    const { value: asked } = await messages.next();
    leave.abort();
    await messages.next().catch(() => {});
    expect((await post(ada, reply(asked.id, "late"))).status).toBe(202);
    expect((await post(ada, { id: 2, method: "ping" })).status).toBe(200);
  });
});
