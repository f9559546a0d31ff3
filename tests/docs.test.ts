import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { SCOPES_IN_USE, TOOL_NEEDS } from "../src/auth/scopes.ts";
import { PROBLEM_CODES, Problem } from "../src/problem.ts";
import { EXIT } from "../src/refusal.ts";

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

test("the README names every tool, and asks for scopes that exist", () => {
  const readme = read("README.md");
  for (const tool of Object.keys(TOOL_NEEDS)) expect(readme).toContain(`\`${tool}\``);
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
