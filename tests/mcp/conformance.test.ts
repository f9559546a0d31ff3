import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { loadConfig } from "../../src/config.ts";
import { createLog } from "../../src/log.ts";
import { startService } from "../../src/main.ts";
import { FIXTURES, proxyWithToken } from "../support/conformance.ts";
import { temporaryFolder } from "../support/folder.ts";
import { ada, openWorld, SETTINGS, tokenFor, type World } from "../support/world.ts";

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
