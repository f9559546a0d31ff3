import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROUTE_NEEDS, SCOPES_IN_USE, TOOL_NEEDS } from "../src/auth/scopes.ts";
import { TOOLS } from "../src/mcp/tools.ts";
import { PROBLEM_CODES, Problem } from "../src/problem.ts";
import { EXIT } from "../src/refusal.ts";
import { backups, membersOf, ourArchive } from "./support/archives.ts";
import { ada, openWorld, otherAda, type World } from "./support/world.ts";

const ROOT = join(import.meta.dir, "..");
const read = (file: string) => readFileSync(join(ROOT, file), "utf8");
const PAGES = ["README.md", "CHANGELOG.md", ...readdirSync(join(ROOT, "docs")).map((name) => `docs/${name}`)];

/** The cells of every table row of a page, by the text of its first cell without backticks. */
const rowsOf = (file: string) =>
  new Map(
    [...read(file).matchAll(/^\| (.+) \|$/gm)].map(([, row = ""]) => {
      const [first = "", ...rest] = row.split(" | ").map((cell) => cell.replaceAll("`", "").trim());
      return [first, rest];
    }),
  );

test("docs/errors.md has every code with its status, and no other", () => {
  const rows = [...rowsOf("docs/errors.md")].filter(([code]) => /^[A-Z_]+$/.test(code));
  const told = rows.map(([code, [status]]) => `${code} ${status}`).sort();
  expect(told).toEqual(PROBLEM_CODES.map((code) => `${code} ${new Problem(code, "").status}`).sort());
});

test("docs/operations.md has every exit code", () => {
  const rows = rowsOf("docs/operations.md");
  for (const [name, code] of Object.entries(EXIT)) expect([code, rows.get(String(code))?.[0]]).toEqual([code, name]);
});

test("docs/operations.md has every variable that config.ts reads, and no other", () => {
  const known = [...read("src/config.ts").matchAll(/"([A-Z][A-Z_]+)"/g)].map(([, name]) => name);
  const section = read("docs/operations.md").split("## Exit codes")[0] ?? "";
  const told = [...section.matchAll(/^\| (`[^|]+`) \|/gm)].flatMap(([, names = ""]) => names.match(/[A-Z_]+/g) ?? []);
  expect([...new Set(told)].sort()).toEqual([...new Set(known as string[])].sort());
});

test("the README names every tool of the default set, and asks for scopes that exist", () => {
  const readme = read("README.md");
  const usual = TOOLS.filter(({ toolset }) => toolset === undefined).map(({ name }) => name);
  expect(usual.filter((name) => !readme.includes(`\`${name}\``))).toEqual([]);
  for (const scope of readme.match(/\b[a-z]+:(read|write|delete)\b/g) ?? [])
    expect(SCOPES_IN_USE as readonly string[]).toContain(scope);
});

test.each(PAGES)("%s links to nothing that is not there", (page) => {
  const links = [...read(page).matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, target = ""]) =>
    join(dirname(page), target),
  );
  expect(links.filter((link) => !existsSync(join(ROOT, link)))).toEqual([]);
});

test.each(PAGES)("%s names no file of src, sql, tests or docs that is not there", (page) => {
  const named = [...read(page).matchAll(/\b(?:src|sql|tests|docs|migrations)\/[\w/.-]+\.(?:ts|sql|md)\b/g)].map(
    ([path]) => path,
  );
  expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});

test("the pages in docs/ have every route, and docs/mcp.md every tool", () => {
  const pages = PAGES.filter((page) => page.startsWith("docs/"))
    .map(read)
    .join("\n");
  const lines = pages.split("\n");
  for (const route of Object.keys(ROUTE_NEEDS)) {
    const [method = "", path = ""] = route.replace(/:(\w+)/g, "{$1}").split(" ");
    const named = new RegExp(`${RegExp.escape(path)}(?![\\w/{-])`);
    const told = lines.some((line) => named.test(line) && line.includes(method));
    expect([route, told]).toEqual([route, true]);
  }
  expect(Object.keys(TOOL_NEEDS).filter((tool) => !pages.includes(`### ${tool}\n`))).toEqual([]);
});

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

/** What differs from run to run, made the same. */
const steady = (text: string) =>
  text
    .replace(/"next_cursor": "[^"]+"/g, '"next_cursor": "…"')
    .replace(/\b(?!01a2079c-0000)[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}\b/g, "01a207f0-5c1e-7d3a-9b44-2f6a1c0de001")
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, "2026-11-23T10:30:00.123456Z")
    .replace(/"day": "[\d-]+"/g, '"day": "2026-11-23"')
    .replace(/"sha256": "\w+"/g, '"sha256": "…"')
    .replace(/"bytes": \d+/g, '"bytes": 1742')
    .replace(/"took_ms": [\d.]+/g, '"took_ms": 3.2');

/**
 * Makes the calls of a page, block by block, `{id}` and `{merge_id}` standing for the ones that came last, and holds each answer against
 * what the page says. `UPDATE_DOCS=1 bun test tests/docs.test.ts` writes the answers instead.
 */
async function replay(page: string, language: string, call: (request: string) => Promise<string>) {
  const last: Record<string, string> = {};
  let text = read(page);
  const blocks = [
    ...text.matchAll(
      new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\`\\n(?:\\n\`\`\`json\\n([\\s\\S]*?)\`\`\`\\n)?`, "g"),
    ),
  ];
  expect(blocks.length).toBeGreaterThan(5);
  for (const [whole, request = "", told = ""] of blocks) {
    const raw = await call(request.trim().replace(/\{(id|merge_id)\}/g, (_, name: string) => last[name] ?? ""));
    for (const [, name = "", id = ""] of [...raw.matchAll(/"(id|merge_id)": "([\da-f-]{36})"/g)].reverse())
      last[name] = id;
    const answer = `${steady(raw)}\n`;
    if (process.env.UPDATE_DOCS)
      text = text.replace(whole, () => `\`\`\`${language}\n${request}\`\`\`\n\n\`\`\`json\n${answer}\`\`\`\n`);
    else expect(told).toBe(answer);
  }
  if (process.env.UPDATE_DOCS) writeFileSync(join(ROOT, page), text);
}

/** Makes the REST calls of a page. What it needs it stores itself. */
const replayRest = (page: string, { api, database }: World) =>
  replay(page, "http", async (request) => {
    const [, method = "", path = "", body] = /^(\w+) \/api\/v1(\S+)\n?([\s\S]*)$/.exec(request) ?? [];
    const answer = await api(ada).call(method, path, body || undefined);
    await database.writeRecalls(); // the service does twice a second
    return `// ${answer.status}\n${JSON.stringify(answer.body, null, 2)}`;
  });

test("the calls of docs/api.md answer as it says", () => replayRest("docs/api.md", world));

test.each(["docs/apps.md", "docs/entities.md", "docs/graph.md"])("the calls of %s answer as it says", async (page) => {
  const own = await openWorld();
  await replayRest(page, own);
  await own.close();
});

test("the calls of docs/backup.md answer as it says", async () => {
  const own = await openWorld();
  let archive = await ourArchive([]);
  await replay("docs/backup.md", "http", async (request) => {
    const [, method = "", path = "", query = "", body = ""] =
      /^(\w+) \/api\/v1([^?\n]+)(\?\S+)?\n?([\s\S]*)$/.exec(request) ?? [];
    if (path === "/backup/export") {
      archive = await backups(own, ada).export(JSON.parse(body));
      const { "manifest.json": manifest = "" } = await membersOf(archive);
      return `// 200, application/zip; its manifest.json\n${manifest}`;
    }
    if (path !== "/backup/import") {
      const answer = await own.api(ada).call(method, path, body);
      return `// ${answer.status}\n${JSON.stringify(answer.body, null, 2)}`;
    }
    const { status, body: report } = await backups(own, otherAda).import(
      body === "" ? archive : await ourArchive(body.split("\n")),
      query,
    );
    return `// ${status}\n${JSON.stringify(report, null, 2)}`;
  });
  await own.close();
});

test("the calls of docs/mcp.md answer as it says", async () => {
  const own = await openWorld(); // or what it counts would depend on the calls of another page
  await replay("docs/mcp.md", "tool", async (request) => {
    const [, tool = "", args = "{}"] = /^(\w+) ([\s\S]*)$/.exec(request) ?? [];
    const { call } = await own.assistant(ada, { toolsets: "all" });
    return JSON.stringify(await call(tool, JSON.parse(args)), null, 2);
  });
  await own.close();
});
