import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { brain } from "./support/processes.ts";
import { freshDatabase, type TestDatabase } from "./support/server.ts";

const DOCS = join(import.meta.dir, "../docs");
const PAGES = readdirSync(DOCS);
const read = (page: string) => readFileSync(join(DOCS, page), "utf8");

/** The commands in the shell blocks of a page, as a shell would be given them, without comments. */
const commandsOf = (page: string) =>
  [...read(page).matchAll(/^ *```sh\n([\s\S]*?)^ *```$/gm)]
    .flatMap(([, block = ""]) => block.split("\n"))
    .flatMap((line) => line.replace(/(^|\s)#.*$/, "").split(/&&|\$\(|\)|[|&;]/))
    .map((command) => command.trim());

/** Those of our program: its words before the first option, and its options. */
const ours = PAGES.flatMap((page) =>
  commandsOf(page).flatMap((command) => {
    const [, words] = /^(?:\w+=\S* )*bun (?:run )?brain (.*)$/.exec(command) ?? [];
    return words === undefined ? [] : [{ page, command, words: words.split(/\s+/) }];
  }),
);

/** What `--help` prints of a command, or of what stands within it. */
const helps = new Map<string, Promise<string>>();
const helpOf = (words: readonly string[]) => {
  const name = words.join(" ");
  const help = helps.get(name) ?? brain([...words, "--help"]).then(({ out }) => out);
  helps.set(name, help);
  return help;
};

test("the pages show commands of ours", () => {
  expect(ours.length).toBeGreaterThan(30);
  expect(new Set(ours.map(({ page }) => page)).has("rollback.md")).toBe(true);
});

test("every command that a page shows is there, with every option it gives", async () => {
  const missing: string[] = [];
  for (const { page, command, words } of ours) {
    const [name = "", inner = ""] = words;
    const list = await helpOf([name]);
    const path =
      new RegExp(`^  ${RegExp.escape(inner)} `, "m").test(list) && /^[a-z][a-z-]*$/.test(inner)
        ? [name, inner]
        : [name];
    const help = await helpOf(path);
    if (!help.startsWith(`Usage: brain ${path.join(" ")} `)) missing.push(`${page}: ${command}`);
    // What `brain db` does not know it hands on.
    if (name === "db") continue;
    for (const option of words.filter((word) => /^--[a-z]/.test(word)))
      if (option !== "--help" && !new RegExp(`^  (-\\w, )?${option}(?![a-z-])`, "m").test(help))
        missing.push(`${page}: ${command}: ${option}`);
  }
  expect(missing).toEqual([]);
}, 60_000);

let database: TestDatabase;
beforeAll(async () => {
  database = await freshDatabase();
});
afterAll(() => database.drop());

test("the plan looks as docs/rollback.md shows it, and its line for R2 does what it says", async () => {
  const [, shown = ""] =
    /```sh\nbun brain status\nbun brain rollback --plan\n```\n\n```\n([\s\S]*?)```/.exec(read("rollback.md")) ?? [];
  const env = { OWNER_DATABASE_URL: database.owner_url };
  expect((await brain(["status"], env)).code).toBe(0);
  const { code, out } = await brain(["rollback", "--plan"], env);
  expect(code).toBe(0);
  const lines = shown
    .trim()
    .split("\n")
    .map((line) => new RegExp(`^${line.split("…").map(RegExp.escape).join(".*")}$`));
  expect(lines.length).toBe(6);
  const printed = out.split("\n");
  expect(lines.map((line, place) => [printed[place], line.test(printed[place] ?? "")])).toEqual(
    lines.map((_, place) => [printed[place], true]),
  );
  const [, command = ""] = /^R2 applies[^`]*`brain ([^`]+)`/m.exec(out) ?? [];
  expect((await brain(command.split(" "), env)).code).toBe(0);
  expect(await brain(["status"], env)).toMatchObject({ code: 18, out: expect.stringContaining("behind") });
  expect((await brain(["migrate", "--no-backup"], env)).code).toBe(0);
}, 60_000);
