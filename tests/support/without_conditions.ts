import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { temporaryFolder } from "./folder.ts";

/**
 * `bun run test:isolation`: takes every condition on a tenant's columns out of the SQL in a copy of src/, and runs the
 * tests of isolation there. They still pass, since the database decides; a statement that is only safe by its own
 * `where` fails one. Joins of two columns stay, and so does the one space that a
 * write goes to: without them a row would come with another row's space.
 */

const TENANT = /\b(org_id|user_id|owner_id|space_id|access_entity|access_keys)\b/;

/** The one space that something is put into or looked for in, found before as the caller: which, and not whether. */
const PLACE = /^[\w.]*space_id = \$\{space_id\}$/;

/** The tests of isolation, and those of the lists and searches whose conditions go. */
const TESTS = [
  "tests/db/isolation.test.ts",
  "tests/http/supersedes.test.ts",
  "tests/http/memories.test.ts",
  "tests/http/revisions.test.ts",
  "tests/http/search.test.ts",
  "tests/http/filters.test.ts",
  "tests/http/routes.test.ts",
  "tests/http/entities.test.ts",
  "tests/http/entity_relations.test.ts",
  "tests/http/entity_merges.test.ts",
  "tests/http/graph.test.ts",
  "tests/http/timeline.test.ts",
  "tests/http/states.test.ts",
  "tests/http/apps.test.ts",
  "tests/http/import.test.ts",
  "tests/http/export.test.ts",
  "tests/mcp/tools.test.ts",
  "tests/mcp/parity.test.ts",
  "tests/mcp/sse.test.ts",
  "tests/mcp/sharing.test.ts",
  "tests/mcp/protocol_features.test.ts",
];

/** Why a condition is more than a wall: it was what the caller asked for, among what they see anyway. */
const FILTER = "access_entity and scope are filters of lists, and the list is no longer filtered";
const ALL = "all of one space is deleted, and now all that the caller sees";
const TARGET = "a move finds its space by name, and now takes another one that the caller sees";
const TWINS = "an equal memory is looked for in one space, and is now found in all that the caller sees";

const PLACED = "a space is found by its name, and now another one is taken that the caller sees";
const WHOLE = "each line of an archive is judged by itself, and now the database refuses all of it";

/** Tests that fail in the copy for that; each must. */
const MEANING: Record<string, string> = {
  "listing > filtered by access_entity=project:l, the total counts what the pages hold": FILTER,
  "listing > filtered by access_entity=project:l&category=decision, the total counts what the pages hold": FILTER,
  "listing > filtered by access_entity=user:somebody, the total counts what the pages hold": FILTER,
  "access_entity=project:l": FILTER,
  "scope=user": FILTER,
  "search_query=f&scope=project": FILTER,
  'finding > filtered by {"access_entity":"project:books"}': FILTER,
  'finding > filtered by {"access_entity":"project:else"}': FILTER,
  "a decision that may replace an older one > is answered with it, from its own space alone, until it says that it replaces it":
    TWINS,
  "changing > moving needs both spaces": TARGET,
  "REST > a move needs the space it comes from and the one it goes to": TARGET,
  "MCP > a move needs the space it comes from and the one it goes to": TARGET,
  "history > what was said in a space stays with those who read that space": TARGET,
  "all is deleted only by its right number, one space or everything, and nobody else's": ALL,
  "duplicates > a change or move into a twin is a conflict that names it, and changes nothing": TWINS,
  "a merge > is a dry run unless told otherwise, and tells what it then does": FILTER,
  "a merge > goes through every space that has a variant, or through one; each sees and undoes what is theirs": FILTER,
  "a merge is refused > of names that are not there, or a colleague's, or another org's: one answer": FILTER,
  "duplicates > less sure ones are found by a lower threshold": FILTER,
  "a request names a part: spaces, apps, categories, states, times": FILTER,
  'list_memories with {"access_entity":"project:l"}': FILTER,
  'list_memories with {"scope":["project","team"],"state":["active","archived"]}': FILTER,
  'POST /memories/filter {"state":["active","archived"],"scopes":["team","project"]}': FILTER,
  "a dry run says what would happen, and leaves nothing, not even a space": WHOLE,
  "what does not fit is rejected by itself > another's space": WHOLE,
  "what does not fit is rejected by itself > a space not granted": WHOLE,
  "one space for all of it, if it is granted": WHOLE,
  "a memory that was moved out of sight is imported anew, as often as that happens": PLACED,
  "relations and events are added once, and those that name nothing are left out": PLACED,
  "an event > is in one's own space unless another is named": PLACED,
  "an event > goes nowhere the token does not open, nor through an app that is paused": PLACED,
  "an event > is deleted by who may write it, and is not there for others": PLACED,
  "each sees their own and what is shared with them, in whatever state, and the history they may read": PLACED,
  "a relation > is said once, seen from both ends, and makes the entities it names": PLACED,
  "a relation > is taken back by whoever sees it, from either end, once": PLACED,
  "a relation is refused > in a space that is not granted, or with none to choose": PLACED,
  "POST /api/v1/entities/normalization/undo/:merge_id > as the mate": PLACED,
  "GET /api/v1/entities/:name/relations > as the mate": PLACED,
  "DELETE /api/v1/entities/:name/relations/:id > as the mate": PLACED,
};

export interface Stripped {
  source: string;
  /** How many SQL templates were looked at. */
  templates: number;
  deleted: { line: number; text: string }[];
}

/** A source without its tenant conditions, each replaced by `true`. Throws where one stands beside an `or`. */
export function withoutTenantConditions(source: string): Stripped {
  const templates = [...templatesOf(source)];
  const cuts = templates
    .flatMap(({ start, end }) => tenantConditions(masked(source, start, end)).map(shifted(start)))
    .sort((a, b) => a.start - b.start)
    .filter(({ end }, index, all) => !all.some((other, at) => at < index && other.end >= end)) // within another
    .filter(({ start, end }) => !PLACE.test(source.slice(start, end)));
  let stripped = source;
  for (const { start, end } of cuts.toReversed()) stripped = `${stripped.slice(0, start)}true${stripped.slice(end)}`;
  const deleted = cuts.map(({ start, end }) => ({
    line: source.slice(0, start).split("\n").length,
    text: source.slice(start, end).replace(/\s+/g, " "),
  }));
  return { source: stripped, templates: templates.length, deleted };
}

interface Span {
  start: number;
  end: number;
}

const shifted =
  (by: number) =>
  ({ start, end }: Span): Span => ({ start: start + by, end: end + by });

/** The texts of templates with a tag that means SQL here. */
function* templatesOf(source: string): Generator<Span> {
  for (const { 0: tag, index } of source.matchAll(/(?<![.\w])(?:tx|sql|session)(?:<[^`()]*>)?`/g)) {
    const start = index + tag.length;
    yield { start, end: endOfTemplate(source, start) };
  }
}

/** Where a template that begins here ends: at its own backtick. */
function endOfTemplate(source: string, start: number): number {
  for (let at = start; at < source.length; at++) {
    if (source[at] === "\\") at++;
    else if (source[at] === "`") return at;
    else if (source.startsWith("${", at)) at = endOfExpression(source, at + 2);
  }
  throw new Error("a template without an end");
}

/** Where an expression in a template ends: at its own brace. */
function endOfExpression(source: string, start: number): number {
  for (let at = start, depth = 0; at < source.length; at++) {
    const character = source[at] ?? "";
    if (character === "{") depth++;
    else if (character === "}" && depth-- === 0) return at;
    else if (character === "`") at = endOfTemplate(source, at + 1);
    else if (character === '"' || character === "'") at = source.indexOf(character, at + 1);
  }
  throw new Error("an expression without an end");
}

/** The SQL of a template at its own places, with `$` for expressions, texts and comments. */
function masked(source: string, start: number, end: number): string {
  let sql = "";
  for (let at = start; at < end; at++) {
    if (!source.startsWith("${", at)) sql += source[at];
    else {
      const closing = endOfExpression(source, at + 2);
      sql += "$".repeat(closing + 1 - at);
      at = closing;
    }
  }
  return sql
    .replace(/'[^']*'/g, (text) => "$".repeat(text.length))
    .replace(/--.*/g, (text) => "\n".repeat(text.length));
}

/** Words that end a condition at their own depth of parentheses. */
const ENDS =
  /^(order|group|limit|offset|returning|union|intersect|except|join|left|right|inner|cross|full|from|set|do|for|window|select|then|when|else|end|having)$/;

/** The conditions of a statement, or of a part of one, that decide by a tenant's column. */
function tenantConditions(sql: string): Span[] {
  const found: Span[] = [];

  const look = (from: number, to: number, is_condition: boolean) => {
    let start = is_condition ? from : -1;
    let has_or = false;
    const spans: Span[] = [];
    const close = (end: number) => {
      if (start !== -1) spans.push(trimmed(sql, start, end));
      start = -1;
    };
    for (const { 0: word, index } of tokens(sql, from, to)) {
      const after = index + word.length;
      if (word === "(") look(after, closing(sql, index), false);
      else if (word === "on" && /\bdistinct\s+$/i.test(sql.slice(0, index))) close(index);
      else if (word === "on" && /^\s+conflict\b/.test(sql.slice(after))) close(index);
      else if (word === "where" || word === "on") {
        close(index);
        start = after;
      } else if (word === "and" && start !== -1) {
        close(index);
        start = after;
      } else if (word === "or" && start !== -1) has_or = true;
      else if (ENDS.test(word)) close(index);
    }
    close(to);
    const tenants = spans.filter(({ start, end }) => isTenantCondition(sql.slice(start, end)));
    if (has_or && tenants.length > 0) throw new Error(`an or beside a condition: ${sql.slice(from, to)}`);
    found.push(...tenants);
  };

  look(0, sql.length, isFragment(sql));
  return found;
}

/** Words and opening parentheses at the depth of `from`; what is within those is passed over. */
function* tokens(sql: string, from: number, to: number) {
  for (let at = from; at < to; ) {
    const [token = ""] = /^(?:[a-z_]\w*|.)/is.exec(sql.slice(at, to)) ?? [];
    if (token === "(" || /^[a-z_]/i.test(token)) yield { 0: token.toLowerCase(), index: at };
    at = token === "(" ? closing(sql, at) + 1 : at + token.length;
  }
}

/** Where the parenthesis that opens here is closed. */
function closing(sql: string, opening: number): number {
  for (let at = opening, depth = 0; at < sql.length; at++) {
    if (sql[at] === "(") depth++;
    else if (sql[at] === ")" && --depth === 0) return at;
  }
  throw new Error(`a parenthesis without an end: ${sql}`);
}

function trimmed(sql: string, start: number, end: number): Span {
  const text = sql.slice(start, end);
  return { start: start + text.length - text.trimStart().length, end: start + text.trimEnd().length };
}

/** Part of a statement that is a condition by itself: no list of columns, and it compares. */
function isFragment(sql: string): boolean {
  const outside = withoutGroups(sql).trim();
  return (
    !/^(select|insert|update|delete|with|create|alter)\b/i.test(outside) &&
    !outside.includes(",") &&
    (outside.startsWith("(") || /\s(and|or|is|in)\s|[=<>]/i.test(outside))
  );
}

/** Names a tenant's column outside of any select within it, whose own conditions are looked at by themselves. */
function isTenantCondition(condition: string): boolean {
  const is_join = /^[\w.]+\s*=\s*[\w.]+$/.test(condition) && !/\b(true|false|null|\d+)\b/.test(condition);
  return !is_join && TENANT.test(withoutGroups(condition, /^\(\s*select\b/i));
}

/** A text without what stands in parentheses; with a pattern, without those groups alone that it fits. */
function withoutGroups(sql: string, only = /^/): string {
  let left = "";
  for (let at = 0; at < sql.length; at++) {
    if (sql[at] === "(" && only.test(sql.slice(at))) {
      left += "()";
      at = closing(sql, at);
    } else left += sql[at];
  }
  return left;
}

/** A condition nobody needs, planted into a statement that reads memories: were it to stay, colleagues' would be gone. */
function plantedIn(source: string): string {
  const [place] = /\bfrom brain\.memories\s+(?:join [^`]*?)?where /.exec(source) ?? [];
  if (!place) throw new Error("no statement to plant a condition in");
  return source.replace(place, () => `${place}${PLANTED} and `);
}
/** What serves. The rest of the SQL is the owner's, who is above the policies: it names orgs because it must. */
const SERVING = /^src\/(?!ops\/|leaks\/|cli\/|auth\/revocation\.ts).*\.ts$/;

const PLANTED_IN = "src/memories/service.ts";
const PLANTED = "memories.owner_id = app.current_user_id()";

const ROOT = join(import.meta.dir, "../..");

/** Copies what the project tracks; gives the files' names. */
function copyTo(folder: string): string[] {
  const listed = Bun.spawnSync(["git", "ls-files", "-z"], { cwd: ROOT });
  if (!listed.success) throw new Error("git does not list the project's files");
  const files = listed.stdout.toString().split("\0").filter(Boolean);
  for (const file of files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    cpSync(join(ROOT, file), join(folder, file), { verbatimSymlinks: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  return files;
}

/** Takes the conditions out of the copy and says which; throws where the planted one has not been found. */
function stripIn(folder: string, files: readonly string[]) {
  let templates = 0;
  let deletions = 0;
  let is_planted_found = false;
  for (const file of files.filter((name) => SERVING.test(name))) {
    const original = readFileSync(join(folder, file), "utf8");
    const stripped = withoutTenantConditions(file === PLANTED_IN ? plantedIn(original) : original);
    writeFileSync(join(folder, file), stripped.source);
    templates += stripped.templates;
    for (const { line, text } of stripped.deleted) {
      const is_planted = file === PLANTED_IN && text === PLANTED;
      is_planted_found ||= is_planted;
      if (!is_planted) deletions++;
      console.log(`${file}:${line}: ${text}${is_planted ? "  (planted by this script)" : ""}`);
    }
  }
  console.log(`${templates} SQL templates; ${deletions} conditions deleted, and the planted one.`);
  if (!is_planted_found) throw new Error("The planted condition was not found: nothing has been shown.");
}

/** Runs the tests in the copy; gives the names of those that fail, and how many passed. */
async function runTests(folder: string) {
  const run = Bun.spawn([process.execPath, "test", "--timeout", "30000", ...TESTS], {
    cwd: folder,
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([new Response(run.stdout).text(), new Response(run.stderr).text()]);
  // Told once where it happens and, after a long run, once more at the end.
  const failed = [...new Set([...err.matchAll(/^\(fail\) (.*?)(?: \[[\d.]+m?s\])?$/gm)].map(([, name = ""]) => name))];
  const passed = Number(/^\s*(\d+) pass$/m.exec(err)?.[1] ?? 0);
  if (passed === 0 || ((await run.exited) !== 0 && failed.length === 0)) throw new Error(`No run:\n${out}${err}`);
  return { failed, passed, said: err };
}

async function main() {
  using folder = temporaryFolder();
  stripIn(folder.path, copyTo(folder.path));
  const { failed, passed, said } = await runTests(folder.path);
  for (const name of failed) console.log(`${MEANING[name] ? "fails for its meaning" : "FAILS"}: ${name}`);
  for (const reason of new Set(failed.map((name) => MEANING[name]).filter(Boolean))) console.log(`  ${reason}.`);
  const surprises = failed.filter((name) => !MEANING[name]);
  const stale = Object.keys(MEANING).filter((name) => !failed.includes(name));
  for (const name of stale) console.log(`passes, and was expected to fail: ${name}`);
  if (surprises.length > 0) console.log(said);
  console.log(
    `${passed} passed; ${failed.length} failed, ${failed.length - surprises.length} of them for their meaning.`,
  );
  process.exitCode = surprises.length + stale.length > 0 ? 1 : 0;
}

if (import.meta.main) await main();
