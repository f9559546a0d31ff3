import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { loadConfig } from "../../src/config.ts";
import { connecting, undoing } from "../../src/connect/change.ts";
import { CLIENTS } from "../../src/connect/clients.ts";
import { entryIn, type Place, withEntry } from "../../src/connect/edit.ts";
import { createLog } from "../../src/log.ts";
import { type Service, startService } from "../../src/main.ts";
import { connectLegacy } from "../support/clients.ts";
import { temporaryFolder } from "../support/folder.ts";
import { brain } from "../support/processes.ts";
import { openWorld, SETTINGS, type World } from "../support/world.ts";

const BRIDGE = "mcp-remote@0.15.1";
const URL_ = "http://127.0.0.1:8765";
const bearer = { Authorization: "Bearer T" };
const bridge = (address: string, transport: string) => ({
  command: "npx",
  args: ["-y", BRIDGE, address, "--transport", transport, "--header", "Authorization:\u0024{AUTHORIZATION}"],
  env: { AUTHORIZATION: "Bearer T" },
});

/** A home of one's own, and `brain connect` in it. */
function atHome() {
  const folder = temporaryFolder();
  const put = (file: string, text: string) => {
    mkdirSync(dirname(join(folder.path, file)), { recursive: true });
    writeFileSync(join(folder.path, file), text);
  };
  return {
    at: (file: string) => join(folder.path, file),
    put,
    read: (file: string) => readFileSync(join(folder.path, file), "utf8"),
    has: (file: string) => existsSync(join(folder.path, file)),
    connect: (...args: string[]) =>
      brain(["connect", ...args], {
        HOME: folder.path,
        BRAIN_DATA_DIR: join(folder.path, "brain"),
        PORT: "8765",
        JWT_SECRET_KEY: SETTINGS.jwt_secret,
      }),
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

const HTTP: [client: string, file: string, servers: string, entry: object][] = [
  ["claude-code", ".claude.json", "mcpServers", { type: "http", url: `${URL_}/mcp`, headers: bearer }],
  ["claude-desktop", ".config/Claude/claude_desktop_config.json", "mcpServers", bridge(`${URL_}/mcp`, "http-only")],
  ["cursor", ".cursor/mcp.json", "mcpServers", { url: `${URL_}/mcp`, headers: bearer }],
  ["vscode", ".config/Code/User/mcp.json", "servers", { type: "http", url: `${URL_}/mcp`, headers: bearer }],
  ["codex", ".codex/config.toml", "mcp_servers", { url: `${URL_}/mcp`, http_headers: bearer }],
  ["windsurf", ".codeium/windsurf/mcp_config.json", "mcpServers", { serverUrl: `${URL_}/mcp`, headers: bearer }],
  ["zed", ".config/zed/settings.json", "context_servers", { url: `${URL_}/mcp`, headers: bearer }],
];
const sse = (client: string) => `${URL_}/mcp/${client}/sse/me`;
const SSE: Record<string, object> = {
  "claude-code": { type: "sse", url: sse("claude-code"), headers: bearer },
  "claude-desktop": bridge(sse("claude-desktop"), "sse-only"),
  cursor: { url: sse("cursor"), headers: bearer },
  vscode: { type: "sse", url: sse("vscode"), headers: bearer },
  codex: bridge(sse("codex"), "sse-only"),
  windsurf: { serverUrl: sse("windsurf"), headers: bearer },
  zed: bridge(sse("zed"), "sse-only"),
};

const placeOf = (client: string): Place => {
  const { format = "json", servers = "" } = CLIENTS[client] ?? {};
  return { format, servers, name: "coding-brain" };
};

const parsed = (file: string, text: string): Record<string, object> =>
  (file.endsWith(".toml") ? Bun.TOML.parse(text) : JSON.parse(text)) as Record<string, object>;

describe.if(process.platform === "linux")("a client without a configuration", () => {
  test.each(HTTP)(
    "%s gets one that is its owner's alone, and --undo takes it away",
    async (client, file, servers, entry) => {
      using home = atHome();
      expect(await home.connect(client, "--token", "T", "--yes")).toMatchObject({ code: 0, err: "" });
      expect(parsed(file, home.read(file))).toEqual({ [servers]: { "coding-brain": entry } });
      expect(statSync(home.at(file)).mode & 0o777).toBe(0o600);
      const printed = await home.connect(client, "--token", "T", "--print", "--transport", "sse");
      expect(parsed(file, printed.out)).toEqual({ [servers]: { "coding-brain": SSE[client] ?? {} } });
      await home.connect(client, "--undo", "--yes");
      expect(home.has(file)).toBe(false);
    },
    20_000,
  );
});

/** Files that people have written in, with what a careless tool would lose. */
const WRITTEN: [client: string, file: string, text: string][] = [
  [
    "zed",
    ".config/zed/settings.json",
    '// my Zed\n{\n\t"theme": "One Dark", // dark\n\t"context_servers": {\n\t\t/* mine */\n\t\t"mine": { "url": "https://a/mcp" },\n\t},\n}\n',
  ],
  ["claude-code", ".claude.json", '{"numStartups":3,"mcpServers":{"a":{"command":"a"}},"projects":{}}'],
  ["cursor", ".cursor/mcp.json", '\ufeff{\r\n    "mcpServers": {}\r\n}\r\n'],
  ["vscode", ".config/Code/User/mcp.json", '{\n  "inputs": [{ "id": "a" }]\n}'],
  ["windsurf", ".codeium/windsurf/mcp_config.json", "  \n"],
  [
    "codex",
    ".codex/config.toml",
    'model = "x" # the model\n\n[mcp_servers.other]\ncommand = "npx"\n# what follows is for work\n[projects."/a b"]\ntrust_level = "trusted"\n',
  ],
  [
    "codex",
    ".codex/config.toml",
    '[mcp_servers.coding-brain]\nurl = "http://old/mcp" # old\n\n[mcp_servers.coding-brain.http_headers]\nAuthorization = "Bearer old"\n\n# after it\n[tui]\nnotifications = true',
  ],
];

describe.if(process.platform === "linux")("a configuration that is there", () => {
  test.each(WRITTEN)("of %s keeps all else, and comes back byte for byte: %s", (client, path, text) => {
    using home = atHome();
    home.put(path, text);
    const file = home.at(path);
    const place = placeOf(client);
    const entry = CLIENTS[client]?.entry({ url: URL_, token: "T", transport: "http" }, client) ?? {};
    connecting(file, place, entry)?.apply();
    const changed = home.read(path);
    const is_others = (line: string) => /\/\/|\/\*|#|"mine"|\[projects/.test(line) && !line.includes("# old");
    for (const line of text.split(/\r?\n/).filter(is_others)) expect(changed).toContain(line);
    expect(entryIn(changed, place)).toEqual(entry);
    expect(home.read(`${path}.before-coding-brain`)).toBe(text);
    undoing(file, place)?.apply();
    expect(home.read(path)).toBe(text);
    expect(home.has(`${path}.before-coding-brain`)).toBe(false);
  });

  test("that was changed afterwards loses the entry alone", async () => {
    using home = atHome();
    home.put(".cursor/mcp.json", '{ "mcpServers": { "a": {} } }');
    await home.connect("cursor", "--token", "T", "--yes");
    home.put(".cursor/mcp.json", home.read(".cursor/mcp.json").replace('"a": {}', '"a": {}, "b": {}'));
    await home.connect("cursor", "--undo", "--yes");
    expect(JSON.parse(home.read(".cursor/mcp.json"))).toEqual({ mcpServers: { a: {}, b: {} } });
  });

  test("that is a link stays one, and keeps its rights", async () => {
    using home = atHome();
    home.put("dotfiles/mcp.json", "{}");
    mkdirSync(home.at(".cursor"));
    symlinkSync(home.at("dotfiles/mcp.json"), home.at(".cursor/mcp.json"));
    const { out } = await home.connect("cursor", "--token", "T", "--yes");
    expect(lstatSync(home.at(".cursor/mcp.json")).isSymbolicLink()).toBe(true);
    expect(JSON.parse(home.read("dotfiles/mcp.json"))).toHaveProperty("mcpServers.coding-brain");
    expect(statSync(home.at("dotfiles/mcp.json")).mode & 0o777).toBe(0o644);
    expect(out).toContain("chmod 600");
  });

  test.each([
    ["cursor", ".cursor/mcp.json", '{ "mcpServers": ', "not readable as JSON"],
    ["cursor", ".cursor/mcp.json", "[]", "not readable as JSON"],
    ["cursor", ".cursor/mcp.json", '{ "mcpServers": [] }', "by hand"],
    ["codex", ".codex/config.toml", "model = ", "not readable as TOML"],
    ["codex", ".codex/config.toml", 'mcp_servers = { other = { command = "a" } }', "by hand"],
    ["codex", ".codex/config.toml", 'text = """\n[mcp_servers.coding-brain]\nx\n"""\n', "by hand"],
  ])("of %s that cannot be changed safely is refused: %s %j", (client, _file, text, said) => {
    expect(() => withEntry(text, placeOf(client), { url: URL_ })).toThrow(said);
  });

  test("that is refused is left alone", async () => {
    using home = atHome();
    home.put(".cursor/mcp.json", "{ broken");
    const { code, err } = await home.connect("cursor", "--token", "T", "--yes");
    expect({ code, err }).toEqual({ code: 1, err: "The file is not readable as JSON; nothing was changed.\n" });
    expect(home.read(".cursor/mcp.json")).toBe("{ broken");
    expect(home.has(".cursor/mcp.json.before-coding-brain")).toBe(false);
  });

  test("is changed again, and taken back step by step", async () => {
    using home = atHome();
    home.put(".cursor/mcp.json", "{}");
    await home.connect("cursor", "--token", "T", "--yes");
    const first = home.read(".cursor/mcp.json");
    expect((await home.connect("cursor", "--token", "U", "--yes")).out).toContain("replaces the server coding-brain");
    await home.connect("cursor", "--undo", "--yes");
    expect(home.read(".cursor/mcp.json")).toBe(first);
    await home.connect("cursor", "--undo", "--yes");
    expect(JSON.parse(home.read(".cursor/mcp.json"))).toEqual({ mcpServers: {} });
    expect((await home.connect("cursor", "--undo", "--yes")).code).toBe(1);
  }, 20_000);
});

describe("asking", () => {
  test("where nobody can answer, nothing is changed without --yes", async () => {
    using home = atHome();
    const { code, err } = await home.connect("cursor", "--token", "T");
    expect({ code, said: err.includes("--yes") }).toEqual({ code: 2, said: true });
    expect(home.has(".cursor/mcp.json")).toBe(false);
  });

  test.each([
    ["y", true],
    ["n", false],
    ["", false],
  ])("at a terminal: %j", async (answer, is_changed) => {
    using home = atHome();
    let shown = "";
    const command = Bun.spawn([process.execPath, "src/cli/brain.ts", "connect", "cursor", "--token", "T"], {
      cwd: join(import.meta.dir, "../.."),
      env: { PATH: process.env.PATH ?? "", HOME: home.at(""), PORT: "8765", BRAIN_DATA_DIR: home.at("brain") },
      terminal: {
        cols: 80,
        rows: 24,
        data(terminal, data) {
          const was_asked = shown.includes("[y/N]");
          shown += new TextDecoder().decode(data);
          if (!was_asked && shown.includes("[y/N]")) terminal.write(`${answer}\r`);
        },
      },
    });
    expect(await command.exited).toBe(0);
    expect(shown).toContain("adds the server coding-brain");
    expect(home.has(".cursor/mcp.json")).toBe(is_changed);
  });

  test("the same again changes nothing", async () => {
    using home = atHome();
    await home.connect("cursor", "--token", "T", "--yes");
    const { code, out } = await home.connect("cursor", "--token", "T");
    expect({ code, told: out.includes("connected already") }).toEqual({ code: 0, told: true });
  });
});

describe("an entry in JSON", () => {
  const place = { format: "json", servers: "s", name: "n" } as const;

  test.each([
    ['{"a":1}', '{"s": {"n":{"u":1}},"a":1}'],
    ["", '{\n  "s": {\n    "n": {\n      "u": 1\n    }\n  }\n}\n'],
    ['{\n\t"a": 1, // one\n\t"s": {}\n}', '{\n\t"a": 1, // one\n\t"s": {\n\t\t"n": {\n\t\t\t"u": 1\n\t\t}\n\t}\n}'],
    [
      '{\n "s": {\n  // of x\n  "x": [1,  2], // x\n },\n}',
      '{\n "s": {\n  "n": {\n   "u": 1\n  },\n  // of x\n  "x": [1,  2], // x\n },\n}',
    ],
    ["{\r\n  // none\r\n}", '{\r\n  "s": {\r\n    "n": {\r\n      "u": 1\r\n    }\r\n  }\r\n  // none\r\n}'],
    ['{ "s": { "n": { "old": 2 } } }', '{ "s": { "n": {"u":1} } }'],
    ['{\n  "s": { "n": {} /* o */ }\n}', '{\n  "s": { "n": {\n      "u": 1\n    } /* o */ }\n}'],
  ])("is put into %j", (text, changed) => {
    expect(withEntry(text, place, { u: 1 })).toBe(changed);
  });

  test.each([
    [
      '{\n "s": {\n  "n": {\n   "u": 1\n  },\n  // of x\n  "x": 1, // x\n },\n}',
      '{\n "s": {\n  // of x\n  "x": 1, // x\n },\n}',
    ],
    ['{ "s": { "x": 1 /* x */, /* n */ "n": {} } }', '{ "s": { "x": 1 /* x */ /* n */ } }'],
    ['{ "s": { "n": {} } }', '{ "s": { } }'],
    ['{ "a": 1 }', '{ "a": 1 }'],
  ])("is taken out of %j", (text, changed) => {
    expect(withEntry(text, place, undefined)).toBe(changed);
  });
});

test("where the files of other systems lie", () => {
  const on = (platform: NodeJS.Platform, env: Record<string, string> = {}) =>
    Object.values(CLIENTS).map((kind) => kind.file?.({ platform, home: "/h", env }) ?? null);
  expect(on("darwin")).toEqual([
    "/h/.claude.json",
    "/h/Library/Application Support/Claude/claude_desktop_config.json",
    "/h/.cursor/mcp.json",
    "/h/Library/Application Support/Code/User/mcp.json",
    "/h/.codex/config.toml",
    "/h/.codeium/windsurf/mcp_config.json",
    "/h/.config/zed/settings.json",
    null,
  ]);
  expect(on("linux", { XDG_CONFIG_HOME: "/x", CODEX_HOME: "/c", CLAUDE_CONFIG_DIR: "/cc" })).toEqual([
    "/cc/.claude.json",
    "/x/Claude/claude_desktop_config.json",
    "/h/.cursor/mcp.json",
    "/x/Code/User/mcp.json",
    "/c/config.toml",
    "/h/.codeium/windsurf/mcp_config.json",
    "/x/zed/settings.json",
    null,
  ]);
  expect(on("win32", { APPDATA: "/appdata" }).filter((file) => file?.startsWith("/appdata"))).toEqual([
    "/appdata/Claude/claude_desktop_config.json",
    "/appdata/Code/User/mcp.json",
    "/appdata/Zed/settings.json",
  ]);
});

test("a bridge to another machine without TLS is told that this is meant", () => {
  const entry = CLIENTS["claude-desktop"]?.entry({ url: "http://10.0.0.7:8765", token: "T", transport: "http" }, "x");
  expect(entry).toMatchObject({ args: expect.arrayContaining(["--allow-http"]) });
});

describe("what is written", () => {
  let world: World;
  let service: Service;
  beforeAll(async () => {
    world = await openWorld();
    service = await startService(
      loadConfig({ PORT: "0" }),
      world.urls.service_url,
      SETTINGS.jwt_secret,
      createLog("silent"),
    );
  });
  afterAll(async () => {
    await service.stop();
    await world.close();
  });

  test("connects, over both doors, with the tools asked for, as the user named", async () => {
    using home = atHome();
    const who = ["--user", "ada", "--org", "acme", "--grants", "project:acme/web", "--toolsets", "admin"];
    const told = await home.connect("generic", "--url", service.url, ...who);
    const { url, headers } = JSON.parse(told.out).mcpServers["coding-brain"];
    const client = new Client({ name: "generic", version: "1" });
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
    expect((await client.callTool({ name: "whoami", arguments: {} })).structuredContent).toMatchObject({
      user: "ada",
      org: "acme",
      grants: ["user:ada", "project:acme/web"],
    });
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain("get_embedder_info");
    await client.close();

    const legacy = await home.connect("generic", "--url", `${service.url}/mcp/`, "--transport", "sse", ...who);
    const entry = JSON.parse(legacy.out).mcpServers["coding-brain"];
    const over_sse = await connectLegacy(entry.url, entry.headers, "");
    expect((await over_sse.listTools()).tools.map(({ name }) => name)).toContain("get_embedder_info");
    await over_sse.close();
  });
});
