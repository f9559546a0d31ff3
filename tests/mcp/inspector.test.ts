import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { loadConfig } from "../../src/config.ts";
import { createLog } from "../../src/log.ts";
import { startService } from "../../src/main.ts";
import { TOOLS } from "../../src/mcp/tools.ts";
import { ada, openWorld, SETTINGS, tokenFor, type World } from "../support/world.ts";

/**
 * The official inspector's command line lists and calls every default tool. Over the legacy door it lists them all and
 * calls one: that door hands a call on without a look at which it is, and tests/mcp/every_tool.test.ts calls each there.
 */
const INSPECTOR = join(
  import.meta.dir,
  "../../node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js",
);

let world: World;
let service: Awaited<ReturnType<typeof startService>>;
beforeAll(async () => {
  world = await openWorld();
  service = await startService(
    loadConfig({ PORT: "0", RATE_LIMIT_BURST: "100000" }),
    world.urls.service_url,
    SETTINGS.jwt_secret,
    createLog("silent"),
  );
});
afterAll(async () => {
  await service.stop();
  await world.close();
});

const DOORS = [
  ["http", "/mcp"],
  ["sse", "/mcp/inspector/sse/me"],
] as const;

describe.each(DOORS)("over %s", (transport, path) => {
  const inspect = async (...args: string[]) => {
    const token = await tokenFor(ada);
    const process_ = Bun.spawn(
      // The address first: the options after it take as many values as follow.
      [process.execPath, INSPECTOR, "--cli", service.url + path, "--transport", transport, "--format", "json", "-q"]
        .concat("--stored-auth-only", args)
        .concat("--header", `Authorization: Bearer ${token}`),
      { stdin: "ignore", stdout: "pipe", stderr: "pipe" },
    );
    const [code, out, err] = await Promise.all([process_.exited, process_.stdout.text(), process_.stderr.text()]);
    return { code, result: out ? JSON.parse(out).result : undefined, told: err };
  };
  const call = (tool: string, args: object) =>
    inspect("--method", "tools/call", "--tool-name", tool, "--tool-args-json", JSON.stringify(args));

  test("--strict finds no fault in the tools", async () => {
    const { code, result, told } = await inspect("--method", "tools/list", "--strict");
    const usual = TOOLS.filter(({ toolset }) => toolset === undefined).map(({ name }) => name);
    const names = result.tools.map(({ name }: { name: string }) => name);
    expect({ code, told, names }).toEqual({ code: 0, told: "", names: usual });
  });

  test.if(transport === "sse")("a tool is called", async () => {
    const { code, result } = await call("add_memories", { text: "Inspected over the legacy door." });
    expect({ code, result }).toMatchObject({ code: 0, result: { structuredContent: { memories: [{}] } } });
  });

  test.if(transport === "http")(
    "every default tool is called",
    async () => {
      const stored = await call("add_memories", { text: `Inspected over ${transport}.`, entities: ["Inspector"] });
      const memory_id = stored.result.structuredContent.memories[0].id;
      const called: Record<string, object> = {
        search_memory: { query: "inspected" },
        list_memories: { limit: 1 },
        get_memory: { memory_id },
        update_memory: { memory_id, category: "testing" },
        graph_explore: { question: "related", memory_id },
        whoami: {},
        delete_memories: { memory_ids: [memory_id] },
      };
      const codes = ["add_memories", stored.code];
      for (const [tool, args] of Object.entries(called)) codes.push(tool, (await call(tool, args)).code);
      const usual = TOOLS.filter(({ toolset }) => toolset === undefined).map(({ name }) => name);
      expect(codes.filter((code) => typeof code === "string").sort()).toEqual(usual.toSorted());
      expect(new Set(codes.filter((code) => typeof code === "number"))).toEqual(new Set([0]));
    },
    30_000,
  );

  test("resources, prompts, and a refusal", async () => {
    const { result } = await inspect("--method", "resources/list");
    expect(result.resources.length).toBeGreaterThan(3);
    expect((await inspect("--method", "prompts/list")).result.prompts.length).toBe(3);
    expect((await call("get_memory", { memory_id: "01a2079c-0000-7000-8000-000000000000" })).code).toBe(5);
  }, 30_000);
});
