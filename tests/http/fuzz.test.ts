import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { t } from "elysia";
import fc from "fast-check";
import postgres from "postgres";
import { ROUTE_NEEDS } from "../../src/auth/scopes.ts";
import { EVENT_TYPES } from "../../src/graph/event_schema.ts";
import { KINDS } from "../../src/graph/schema.ts";
import type { RegisteredRoute } from "../../src/http/openapi.ts";
import { classify } from "../../src/mcp/messages.ts";
import { TOOLS } from "../../src/mcp/tools.ts";
import { INTERNAL_ERROR } from "../../src/mcp/transport.ts";
import { CATEGORIES, READABLE_STATES } from "../../src/memories/schema.ts";
import { PROBLEM_CODES } from "../../src/problem.ts";
import { parse } from "../../src/schema.ts";
import { fitting, type Hints, NAME_MARK, VALUE_MARK, word } from "../support/arbitrary.ts";
import { callsOf, Envelope, Shot, type Shots, shotsAt } from "../support/shots.ts";
import { cyd, openWorld, type Person, tokenFor, type World } from "../support/world.ts";

/**
 * Every route and every tool, under requests made from their own schemas and spoilt: never a 5xx, nothing of what was
 * sent in a refusal or in the log, nothing stored by a refused request. A failure prints the seed and the smallest
 * request found; FUZZ_SEED runs that again. FUZZ_RUNS is how many requests each gets: tests/long/fuzz.long.ts.
 */
const RUNS = Number(process.env.FUZZ_RUNS || 8);
const seeded = process.env.FUZZ_SEED ? { seed: Number(process.env.FUZZ_SEED) } : {};
const LIMIT_MS = 30_000 + RUNS * 100;

/** Granted and never written to. */
const NEW_SPACES = Array.from({ length: 8 }, (_, index) => `project:acme/new/${index}`);
const USED_SPACES = ["user:fay", "project:acme/web"];
const fay: Person = { org: "acme", sub: "fay", grants: ["project:acme/web", ...NEW_SPACES] };
const SAID = ["we use bun here", "the second thing", "said in the project"];
const NAMES = ["Bun", "PostgreSQL", "src/db.ts", "C++"];
const USER_AGENT = "claude-code/2.1 (cli)";

let world: World;
let admin: postgres.Sql;

beforeAll(async () => {
  world = await openWorld({ mcp_heartbeat_seconds: 86_400 });
  admin = postgres(world.urls.admin_url, { max: 1, onnotice: () => {} });
  const schemas = world.app.registered.flatMap(({ hooks }) => [hooks.body, hooks.query, hooks.params]);
  ours = JSON.stringify([schemas, TOOLS.map(({ input }) => input), fay.grants]);
  // Her user and apps are there from now on: a first sight writes them, whatever becomes of its request.
  for (const access_entity of USED_SPACES) await world.api(fay).post("/memories", { content: "x", access_entity });
  await (await world.assistant(fay, { user_agent: USER_AGENT })).call("add_memories", { text: "x" });
});
afterAll(async () => {
  await admin.end();
  await world.close();
});

describe("every route", () => {
  // The start fails where a route has no line in ROUTE_NEEDS.
  test.each(Object.keys(ROUTE_NEEDS))(
    "%s",
    async (name) => {
      const route = routeNamed(name);
      const { body, query, params } = route.hooks;
      const has_input = body || query || params || name.startsWith("POST /mcp");
      // Messages are taken on an open stream only: see below. Metrics are for this machine and a token of their own.
      const is_ever_taken = !name.endsWith("/messages") && name !== "GET /metrics";
      await fuzz((hints) => shotsAt(route, hints), {
        runs: has_input ? RUNS : RUNS / 4,
        is_ever_taken,
        kept: KEPT[name],
      });
    },
    LIMIT_MS,
  );

  test(
    "and paths and methods that are none",
    async () => {
      const method = fc.constantFrom("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACK", "LIST");
      const path = fc.constantFrom(
        "/",
        "/mcp/",
        "/api/v1/",
        "/api/v1/memories/",
        "/health/",
        "/docs/",
        "/api/v1/search/",
      );
      const shots = fc
        .tuple(method, path, word)
        .map(([method, path, mark]) => new Shot(method, `${path}${mark}?x=${mark}`));
      await fuzz(() => () => shots, { is_ever_taken: false });
    },
    LIMIT_MS,
  );
});

describe("every tool", () => {
  test.each(TOOLS.map((tool) => [tool.name, tool] as const))(
    "%s",
    (name, tool) => fuzz((_, hints) => callsOf([tool], hints), { kept: KEPT[name] }),
    LIMIT_MS,
  );

  test("several in a batch", () => fuzz((_, hints) => callsOf(TOOLS, hints, { most: 5 })), LIMIT_MS);

  test(
    "and messages on a legacy stream",
    async () => {
      const { path, send, close } = await openStream();
      const messages = shotsAt(routeNamed("POST /mcp/messages"), {});
      const atStream = (shot: Shot) => new Shot(shot.method, path, shot.headers, shot.body, shot.values);
      await fuzz(
        (_, hints) => (is_spoilt) =>
          fc.oneof(
            messages(is_spoilt).map(atStream),
            callsOf(TOOLS, hints, { path })(is_spoilt),
            callsOf(TOOLS, hints, { path, most: 5 })(is_spoilt),
          ),
        { send, but: ["mcp_sessions"] }, // says once a minute that its stream is alive
      );
      await close();
    },
    LIMIT_MS,
  );
});

test("the service is as well as before", async () => {
  const content = "the last thing said";
  const { status, body } = await world.api(fay).post("/memories", { content });
  expect(status).toBe(201);
  const { results } = (await (await world.assistant(fay)).call("search_memory", { query: '"last thing"' })) as never;
  expect(results).toMatchObject([{ id: body.id, content }]);
  expect(Reflect.ownKeys(Object.prototype).filter((name) => !KNOWN.has(name))).toEqual([]);
});

describe("the generator", () => {
  test(
    "gives what fits where it should",
    () => {
      const schemas = world.app.registered.flatMap(({ hooks }) => [hooks.body, hooks.query, hooks.params]);
      for (const schema of [...schemas, Envelope])
        if (schema)
          fc.assert(
            fc.property(fitting(schema), (value) => void parse(schema, value)),
            { numRuns: RUNS, ...seeded },
          );
    },
    LIMIT_MS,
  );

  test("refuses a schema it does not know", () => {
    for (const schema of [t.Date(), t.File(), t.Any(), t.String({ format: "email" }), t.Number({ multipleOf: 5 })])
      expect(() => fitting(t.Object({ field: schema }))).toThrow("teach it");
  });
});

/** What every object inherits before anything was sent. */
const KNOWN = new Set(Reflect.ownKeys(Object.prototype));

function routeNamed(name: string): RegisteredRoute {
  const route = world.app.registered.find(({ method, path }) => `${method} ${path}` === name);
  if (!route) throw new Error(`there is no route ${name}`);
  return route;
}

interface Conditions {
  send?: (shot: Shot) => Promise<Answered>;
  runs?: number;
  /** Tables that change by themselves. */
  but?: string[];
  /** Whether at least one request must get through: else nothing behind the schema has been fuzzed. */
  is_ever_taken?: boolean;
  kept?: Kept | undefined;
}

/** Sends requests, two of five as they should be, and judges each. `shotsFor` gets the hints for REST and for tools. */
async function fuzz(
  shotsFor: (rest: Hints, tools: Hints) => Shots,
  { send = fire, runs = RUNS, but = [], is_ever_taken = true, kept }: Conditions = {},
) {
  const shots = shotsFor(...(await furnish()));
  const marks = await marksOf(but);
  let before = await marks();
  let taken = 0;
  const judge = async (shot: Shot) => {
    const logged = world.logged.length;
    const answered = await send(shot);
    const verdict = verdictOn(shot, answered);
    const stored_before = before;
    before = await marks();
    for (const refusal of verdict.refusals) expectNoEcho(refusal, shot);
    if (verdict.taken === 0) expect(before).toEqual(stored_before);
    else if (kept && verdict.refusals.length === 0) await expectKept(kept, shot, answered);
    taken += verdict.taken;
    // A stream is logged with the client it is for.
    expect(
      world.logged
        .slice(logged)
        .join("")
        .replace(/"client":"[^"]*"/g, ""),
    ).not.toContain(VALUE_MARK);
  };
  const all = fc.oneof({ weight: 2, arbitrary: shots(false) }, { weight: 3, arbitrary: shots(true) });
  // Bun would end the test at its own limit without a word of what was found.
  const options = { ...seeded, interruptAfterTimeLimit: LIMIT_MS - 10_000, markInterruptAsFailure: true };
  await fc.assert(fc.asyncProperty(all, judge), { ...options, numRuns: runs });
  for (let more = 0; is_ever_taken && taken === 0 && more < 200; more++)
    await fc.assert(fc.asyncProperty(shots(false), judge), { ...options, numRuns: 1, seed: more });
  if (is_ever_taken) expect(taken, "requests that got through; the hints lack something").toBeGreaterThan(0);
  const denied = await world.owner`select * from brain.audit_events where outcome = 'denied'`;
  expect(JSON.stringify(denied)).not.toMatch(MARKS);
}

const MARKS = new RegExp(`${VALUE_MARK}|${NAME_MARK}`);

/** Tables that say who and where one is: what is written there at first sight stays. */
const PROVISIONED = ["orgs", "users", "apps", "spaces"];

/** Puts a few memories into empty tables and gives values that get past the schemas: what lies behind is fuzzed too. */
async function furnish(): Promise<[rest: Hints, tools: Hints]> {
  const tables = (await tenantTables()).filter((name) => !PROVISIONED.includes(name) && name !== "mcp_sessions");
  // Past triggers and keys, as TRUNCATE goes; but that makes every file anew, and every plan of the service's.
  await admin.unsafe(
    `set session_replication_role = replica; ${tables.map((name) => `delete from brain.${name}`).join("; ")}`,
  );
  await world.owner`delete from brain.spaces where access_entity = any (${NEW_SPACES})`;
  await world.owner`update brain.apps set is_active = true`;
  const api = world.api(fay);
  const about = { entities: NAMES, tags: ["env", "a/b"] };
  const items = SAID.map((content, index) => ({ content, access_entity: USED_SPACES[index % 2], ...about }));
  const stored = await api.post("/memories/batch", { memories: [...items, { content: "deleted again" }] });
  const ids: string[] = stored.body.items.map(({ id }: { id: string }) => id);
  await api.delete(`/memories/${ids.at(-1)}`);
  const app_ids: string[] = (await api.get("/apps")).body.items.map(({ id }: { id: string }) => id);
  ids.push((await world.api(cyd).post("/memories", { content: "a colleague's" })).body.id);
  const event = { event_type: "release", start_date: "2025", entities: NAMES };
  for (const name of ["shipped", "shipped again"])
    ids.push((await api.post("/graph/events", { ...event, name })).body.id);
  const cursor = (await api.get("/memories?size=1")).body.next_cursor;
  const [one, other, merged] = NAMES;
  ids.push((await api.post(`/entities/${one}/relations`, { target: other, type: "uses" })).body.id);
  const merge = { canonical: one, variants: [merged], dry_run: false, access_entity: USED_SPACES[0] };
  const { merges } = (await api.post("/entities/normalization/merge", merge)).body;
  ids.push(merges[0].merge_id);
  return [hintsFor(ids, app_ids, cursor, "content"), hintsFor(ids, app_ids, cursor, "text")];
}

function hintsFor(ids: string[], app_ids: string[], cursor: string, content_name: "content" | "text"): Hints {
  const id = fc.constantFrom(...ids);
  const said = fc.constantFrom(...SAID);
  const name = fc.constantFrom(...NAMES, "nobody");
  const date = fc.constantFrom("2024", "2025-03", "2025-03-31", "2025-02-30");
  const query = fc.constantFrom("bun", '"second thing"', "-bun thing");
  const several = (words: readonly string[]) => fc.subarray([...words], { minLength: 1 }).map((some) => some.join());
  const moment = fc
    .date({ noInvalidDate: true, min: new Date(0), max: new Date("9999-12-31") })
    .map((date) => date.toJSON());
  return {
    id: fc.oneof({ weight: 3, arbitrary: id }, fc.constantFrom(...app_ids)),
    app_id: fc.constantFrom(...app_ids),
    memory_id: id,
    memory_ids: fc.array(id, { minLength: 1, maxLength: 6 }),
    supersedes: id,
    memories: fc.array(fc.record({ [content_name]: fc.oneof(said, word) }), { minLength: 1, maxLength: 3 }),
    content: said,
    text: said,
    query,
    search_query: query,
    access_entity: fc.constantFrom(...USED_SPACES, ...NEW_SPACES, "auto", "project:acme/other", "user:ben"),
    cursor: fc.constant(cursor),
    states: several(READABLE_STATES),
    categories: several(CATEGORIES),
    tag: fc.constantFrom("env", "env=prod"),
    from_date: moment,
    to_date: moment,
    if_revision: fc.constantFrom(1, 2),
    idempotency_key: fc.constantFrom("key-one", "key-two"),
    client: fc.constant("cursor"),
    user: fc.constantFrom("me", "fay"),
    name,
    a: name,
    b: name,
    entity: name,
    target: name,
    canonical: name,
    variants: fc.subarray(NAMES, { minLength: 1 }),
    merge_id: id,
    start_date: date,
    end_date: date,
    entity_name: name,
    entity_a: name,
    entity_b: name,
    entities: fc.subarray(NAMES),
    key: fc.constantFrom("env", "a/b"),
    tag_key: fc.constantFrom("env", "a/b"),
    via: several(KINDS),
    event_types: several(EVENT_TYPES),
  };
}

/** Asks the catalog which there are. */
async function tenantTables(): Promise<string[]> {
  const tables = await world.owner<{ name: string }[]>`
    select relname as name from pg_class where relnamespace = 'brain'::regnamespace and relkind in ('r', 'p')`;
  return tables.map(({ name }) => name);
}

/** What a refused request does leave: that it was denied, and a granted space that it was the first to write to. */
const LEFT_BEHIND: Record<string, string> = {
  audit_events: "outcome = 'denied'",
  spaces: "access_entity like 'project:acme/new/%'",
};

/**
 * Reads of every table how many rows it has and how new the newest is. A row that was written or written again has a
 * higher xmin than all before it, and one that went leaves fewer: nothing can be stored or removed without a difference.
 */
async function marksOf(but: string[]): Promise<() => Promise<Record<string, string>>> {
  const selects = (await tenantTables())
    .filter((name) => !but.includes(name))
    .map((name) => {
      const counted = `where not (${LEFT_BEHIND[name] ?? "false"})`;
      return `select '${name}' as name, count(*) || ' ' || coalesce(max(xmin::text::bigint), 0) as mark from brain.${name} ${counted}`;
    });
  const query = selects.join(" union all ");
  return async () => {
    const rows = await world.owner.unsafe<{ name: string; mark: string }[]>(query, [], { prepare: true });
    return Object.fromEntries(rows.map(({ name, mark }) => [name, mark]));
  };
}

interface Answered {
  status: number;
  headers: Headers;
  text: string;
}

const request = async ({ method, path, headers, body }: Shot): Promise<Response> =>
  world.app.handle(
    new Request(`http://localhost${path}`, {
      method,
      // A token of its own for each: one of the routes takes its token out of use.
      headers: { authorization: `Bearer ${await tokenFor(fay)}`, "user-agent": USER_AGENT, ...headers },
      ...(body && { body }),
    }),
  );

/** Sends it and gives the whole answer. A stream that opens is closed again, and its session waited out. */
async function fire(shot: Shot): Promise<Answered> {
  const response = await request(shot);
  const { status, headers } = response;
  if (headers.get("content-type") !== "text/event-stream") return { status, headers, text: await response.text() };
  await response.body?.cancel();
  while ((await world.owner`select from brain.mcp_sessions`).length > 0) await Bun.sleep(1);
  return { status, headers, text: "" };
}

/** A legacy stream, and a way to post to it that gives what came on it as the answer. */
async function openStream() {
  const response = await request(new Shot("GET", "/mcp/claude-code/sse/me?toolsets=all"));
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const event = async (): Promise<string> => {
    for (;;) {
      const [whole, data] = /^event: \w+\ndata: (.*)\n\n/.exec(text) ?? [];
      if (whole !== undefined && data !== undefined) {
        text = text.slice(whole.length);
        return data;
      }
      const chunk = await reader?.read();
      if (!chunk || chunk.done) throw new Error("the stream has ended");
      text += chunk.value;
    }
  };
  return {
    path: await event(),
    async send(shot: Shot): Promise<Answered> {
      const answered = await fire(shot);
      if (answered.status !== 202) return answered;
      const answers: string[] = [];
      for (let due = answersDue(shot); due > 0; due--) answers.push(await event());
      return { ...answered, text: `[${answers}]` };
    },
    close: () => reader?.cancel(),
  };
}

/** How many answers a stream gets to messages that were taken: one a call, but none for a call cancelled with them. */
function answersDue(shot: Shot): number {
  const messages = [sentIn(shot)].flat().map(classify);
  const cancelled = messages.map((one) => one.kind === "note" && one.params.requestId);
  return messages.filter((one) => one.kind === "call" && !cancelled.includes(one.call.id)).length;
}

/** One thing asked that was refused: all of the answer to it, and what of that is no place, which may name unknown fields. */
interface Refusal {
  whole: string;
  placeless: string;
}

/** Judges an answer's form, and gives what it refuses, of a batch each part, and how many parts it does not. */
function verdictOn(
  { method, path }: Shot,
  { status, headers, text }: Answered,
): { refusals: Refusal[]; taken: number } {
  expect(status, text).toBeLessThan(500);
  const head = JSON.stringify([...headers]);
  if (status >= 400 && method === "HEAD") return { refusals: [{ whole: head, placeless: head }], taken: 0 };
  const is_judged = status >= 400 || (path.startsWith("/mcp") && /^[[{]/.test(text));
  // biome-ignore lint/suspicious/noExplicitAny: answers of every shape
  const parts: any[] = is_judged ? [JSON.parse(text)].flat() : [];
  const refusals = parts.flatMap((part) => {
    const is_tool_error = part.result?.isError === true;
    if (status < 400 && !part.error && !is_tool_error) return [];
    const problem = is_tool_error ? JSON.parse(part.result.content[0].text) : part.error ? part.error.data : part;
    expectProblem(problem);
    expect(part.error?.code).not.toBe(INTERNAL_ERROR);
    if (status >= 400) expect(problem.status).toBe(status);
    if (problem === part) expect(headers.get("content-type")).toBe("application/problem+json");
    const placeless = { ...problem, errors: problem.errors?.map(({ message }: { message: string }) => message) };
    // JSON-RPC gives the client's id back, as it must.
    return [{ whole: head + JSON.stringify({ ...part, id: null }), placeless: JSON.stringify(placeless) }];
  });
  return { refusals, taken: Math.max(parts.length, 1) - refusals.length };
}

const TEXT = expect.any(String);

function expectProblem(problem: Record<string, unknown>) {
  const { errors, options, hint, ...rest } = problem;
  const type = expect.stringMatching(/^urn:coding-brain:problem:[a-z-]+$/);
  expect(rest).toEqual({ type, title: TEXT, status: expect.any(Number), code: TEXT, detail: TEXT, request_id: TEXT });
  expect(PROBLEM_CODES).toContain(rest.code as never);
  expect(rest.status).toBeLessThan(500);
  // Elysia makes this of whatever our reading of a body throws (1.4.30). No client goes away here: it is a fault of ours.
  expect(rest.detail).not.toBe("The request body is not readable.");
  for (const error of (errors ?? []) as object[]) expect(error).toEqual({ at: TEXT, message: TEXT });
  expect([hint ?? "", ...((options ?? []) as unknown[])].every((text) => typeof text === "string")).toBe(true);
}

/** Our own words, which may be sent too: names of fields, closed sets, granted spaces. */
let ours: string;

/** Shorter values are in many a sentence by chance. */
const MIN_TELLING = 12;

function expectNoEcho({ whole, placeless }: Refusal, { values }: Shot) {
  expect(whole).not.toContain(VALUE_MARK);
  expect(placeless).not.toContain(NAME_MARK);
  const { texts, names } = leavesOf(values);
  for (const text of texts) expect(whole.includes(text), `${whole} repeats ${text}`).toBe(false);
  for (const name of names) expect(placeless.includes(name), `${placeless} repeats ${name}`).toBe(false);
}

/** Values and names within a value that have no mark and are long enough to be recognised, as they are and as JSON has them. */
function leavesOf(value: unknown) {
  const [texts, names] = [new Set<string>(), new Set<string>()];
  const add = (to: Set<string>, text: string) => {
    if (text.length < MIN_TELLING || MARKS.test(text) || ours.includes(JSON.stringify(text))) return;
    to.add(text).add(JSON.stringify(text).slice(1, -1));
  };
  const visit = (inner: unknown) => {
    if (typeof inner === "string") add(texts, inner);
    else if (typeof inner === "number" || JSON.isRawJSON(inner)) add(texts, JSON.stringify(inner));
    else if (typeof inner === "object" && inner !== null)
      for (const [key, field] of Object.entries(inner)) {
        if (!Array.isArray(inner)) add(names, key);
        visit(field);
      }
  };
  visit(value);
  return { texts, names };
}

// biome-ignore lint/suspicious/noExplicitAny: bodies and answers of every shape
type Json = any;

/** A body that was taken, as the service reads it: it may begin with a mark of the order of its bytes. */
const sentIn = ({ body }: Shot): Json => JSON.parse(new TextDecoder().decode(body));

/** What was sent for each memory that was stored or changed, beside what the answer says of it. */
type Kept = (sent: Json, answer: Json) => [sent: Json, stored: Json][];

const one: Kept = (sent, stored) => [[sent, stored]];
/** A tool takes null for absent, so only the text is held against what is stored. */
const ofTool =
  (kept: Kept): Kept =>
  ({ params }, { result }) =>
    kept(params.arguments, result.structuredContent).map(([{ text }, stored]) => [
      text ? { content: text } : {},
      stored,
    ]);

const KEPT: Record<string, Kept> = {
  "POST /api/v1/memories": one,
  "POST /api/v1/memories/batch": ({ memories }, { items }) =>
    memories.map((sent: Json, at: number) => [sent, items[at]]),
  "PUT /api/v1/memories/:id": one,
  "PATCH /api/v1/memories/:id": one,
  add_memories: ofTool((sent, { memories }) =>
    (sent.memories ?? [sent]).map((text: Json, at: number) => [text, memories[at]]),
  ),
  update_memory: ofTool(one),
};

/** What was stored reads as it was sent, its content trimmed. */
async function expectKept(kept: Kept, shot: Shot, { text }: Answered) {
  // What has a key may be answered as before.
  if (shot.headers["idempotency-key"] !== undefined || shot.body?.includes('"idempotency_key"')) return;
  const sent = JSON.parse(JSON.stringify(sentIn(shot))); // JSON has no -0
  for (const [asked, { id, duplicate }] of kept(sent, JSON.parse(text))) {
    const written: Record<string, unknown> = duplicate ? { content: asked.content.trim() } : asStored(asked);
    const { body: read } = await world.api(fay).get(`/memories/${id}`);
    expect(Object.fromEntries(Object.keys(written).map((name) => [name, read[name]]))).toEqual(written);
  }
}

/** The fields of a memory that were given, as the memory has them. */
function asStored({ content, entity, entities, evidence, tags, code_refs, metadata, access_entity, ...rest }: Json) {
  const all = {
    ...rest,
    content: content?.trim(),
    access_entity: access_entity === "auto" ? undefined : access_entity,
    entities: entity === undefined ? orEmpty(entities, []) : [entity],
    evidence: orEmpty(evidence, []),
    tags: Array.isArray(tags) ? Object.fromEntries(tags.map((key) => [key, true])) : orEmpty(tags, {}),
    code_refs: orEmpty(code_refs, []),
    metadata: orEmpty(metadata, {}),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

const orEmpty = (value: unknown, empty: object) => (value === null ? empty : value);
