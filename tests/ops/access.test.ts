import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Access, explainAccess } from "../../src/ops/access.ts";
import { brain } from "../support/processes.ts";
import { ada, ben, cyd, eve, openWorld, type Person, type World } from "../support/world.ts";

let world: World;
let shared: string;
let own: string;
let foreign: string;

beforeAll(async () => {
  world = await openWorld();
  const add = async (person: Person, memory: object) => (await world.api(person).post("/memories", memory)).body.id;
  shared = await add(ada, { content: "shared", access_entity: "project:acme/web" });
  own = await add(ada, { content: "own" });
  foreign = await add(eve, { content: "foreign" });
  for (const person of [ben, cyd]) await world.api(person).get("/memories");
});
afterAll(() => world.close());

const ask = ({ org, sub, grants = [] }: Person, memory_id: string, service_url = world.urls.service_url) =>
  explainAccess(service_url, world.urls.owner_url, { org, sub, grants, memory_id });

/** What counts of an answer: the verdict, and what each reason and note is about. */
const told = ({ verdict, agrees, reasons }: Access) => ({
  verdict: verdict as string,
  agrees,
  reasons: reasons.map(({ code }): string => code),
});

const visible = { verdict: "visible", agrees: true, reasons: [] };
const hidden = (...reasons: string[]) => ({ verdict: "not visible", agrees: true, reasons });

describe("a memory is visible", () => {
  test("to its owner, and to whom a grant opens its space", async () => {
    expect(told(await ask(ada, own))).toEqual(visible);
    const answer = await ask(ben, shared);
    expect(answer).toMatchObject({
      verdict: "visible",
      agrees: true,
      reasons: [],
      held: ["user:ben", "project:acme/web"],
      opened_by: expect.arrayContaining(["project:acme/web", "project:acme", "org:acme"]),
      matching: ["project:acme/web"],
      memory: { org: "acme", access_entity: "project:acme/web", state: "active", owner: "ada" },
    });
    expect(told(await ask({ ...cyd, grants: ["org:acme"] }, shared))).toEqual(visible);
  });

  test.each(["archived", "paused"])("and not listed by default while it is %s", async (state) => {
    const { body } = await world.api(ada).post("/memories", { content: `to be ${state}` });
    await world.owner`update brain.memories set state = ${state} where id = ${body.id}`;
    const answer = await ask(ada, body.id);
    expect(told(answer)).toEqual(visible);
    expect(answer.notes).toEqual([`It is ${state}: lists and searches leave it out unless they ask for that state.`]);
  });
});

describe("a memory is not visible, because", () => {
  test("it is in no org", async () => {
    expect(told(await ask(ada, crypto.randomUUID()))).toEqual(hidden("no_such_memory"));
  });

  test("it is another org's, which is named", async () => {
    const answer = await ask({ ...ada, grants: ["user:eve", "org:umbrella"] }, foreign);
    expect(told(answer)).toEqual(hidden("other_org"));
    expect(answer.reasons[0]?.said).toBe("It belongs to umbrella, not to acme.");
    expect(told(await ask(eve, shared))).toEqual(hidden("other_org"));
  });

  test("the user has never been seen", async () => {
    const stranger = { org: "acme", sub: "stranger", grants: ["project:acme"] };
    const answer = await ask(stranger, shared);
    expect(told(answer)).toEqual(hidden("user_never_seen"));
    expect(answer.notes).toEqual(["From their first request on they will see it with these grants."]);
    expect(told(await ask({ ...stranger, grants: [] }, shared))).toEqual(hidden("user_never_seen", "not_granted"));
    expect(told(await ask({ ...stranger, org: "nowhere" }, shared))).toEqual(hidden("other_org", "user_never_seen"));
  });

  test("it has been deleted: when, and by whom", async () => {
    const { body } = await world.api(ada).post("/memories", { content: "gone", access_entity: "project:acme/web" });
    await world.api(ben).delete(`/memories/${body.id}`);
    const answer = await ask(ada, body.id);
    expect(told(answer)).toEqual(hidden("deleted"));
    expect(answer.reasons[0]?.said).toMatch(/^It was deleted by ben at \d{4}-\d\d-\d\dT[\d:.]+Z\.$/);
    expect(told(await ask(cyd, body.id))).toEqual(hidden("deleted", "not_granted"));
  });

  test("no grant opens its space, and what would is told", async () => {
    const answer = await ask({ ...cyd, grants: ["project:acme/we", "team:acme/web", "user:ada"] }, shared);
    expect(told(answer)).toEqual(hidden("not_granted"));
    expect(answer.held).toEqual(["user:cyd", "project:acme/we", "team:acme/web"]);
    expect(answer.reasons[0]?.said).toBe(
      "No grant held opens its space project:acme/web; any of project:acme/web, project:acme, org:acme would.",
    );
    expect((await ask({ ...cyd, grants: ["org:acme"] }, own)).reasons[0]?.said).toBe(
      "Its space user:ada is that user's own: no grant opens it to another.",
    );
  });
});

test("nothing is written by asking", async () => {
  const count = () => world.owner`select count(*) from brain.users`;
  const before = await count();
  await ask({ org: "nowhere", sub: "nobody" }, shared);
  expect(await count()).toEqual(before);
});

test("a database that decides otherwise than the rule says is told apart", async () => {
  // An administrator walks past the policies.
  const answer = await ask(cyd, shared, world.urls.admin_url);
  expect(told(answer)).toEqual({ verdict: "visible", agrees: false, reasons: ["not_granted"] });
});

const page = readFileSync(join(import.meta.dir, "../../docs/operations.md"), "utf8");

describe("brain doctor access", () => {
  const run = (args: string[], env: Record<string, string> = {}) =>
    brain(["doctor", "access", ...args], {
      DATABASE_URL: world.urls.service_url,
      OWNER_DATABASE_URL: world.urls.owner_url,
      JWT_SECRET_KEY: "a secret that is long enough for this",
      ...env,
    });
  const by = (sub: string, ...more: string[]) => ["--user", sub, "--org", "acme", "--memory", shared, ...more];

  test("answers either way with code 0", async () => {
    const yes = await run(by("ben", "--grants", "project:acme/web"));
    expect({ code: yes.code, first: yes.out.split("\n")[0] }).toEqual({ code: 0, first: "visible" });
    const no = await run(by("cyd"));
    expect({ code: no.code, first: no.out.split("\n")[0] }).toEqual({
      code: 0,
      first:
        "not visible: No grant held opens its space project:acme/web; any of project:acme/web, project:acme, org:acme would.",
    });
  });

  test("prints what docs/operations.md says", async () => {
    const [, told] = /brain doctor access[^`]*```\n\n```\n([^`]+)```/.exec(page) ?? [];
    expect((await run(by("cyd", "--grants", "team:acme/web"))).out).toBe(told ?? "");
  });

  test("prints the same as JSON", async () => {
    const { code, out } = await run(by("cyd", "--json"));
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ verdict: "not visible", agrees: true, held: ["user:cyd"] });
  });

  test("is loud, and fails, where the database decides otherwise than the rule", async () => {
    const { code, out, err } = await run(by("cyd"), { DATABASE_URL: world.urls.admin_url });
    expect({ code, first: out.split("\n")[0] }).toEqual({ code: 1, first: "visible" });
    expect(err).toContain("DISAGREE");
  });

  test.each([
    ["no memory's id", ["--user", "ada", "--org", "acme", "--memory", "x"], {}, 2],
    [
      "another's space as a grant",
      ["--user", "a", "--org", "b", "--memory", crypto.randomUUID(), "--grants", "user:c"],
      {},
      2,
    ],
    [
      "one URL of the two",
      ["--user", "a", "--org", "b", "--memory", crypto.randomUUID()],
      { OWNER_DATABASE_URL: "" },
      3,
    ],
    [
      "a database that does not answer",
      ["--user", "a", "--org", "b", "--memory", crypto.randomUUID()],
      { DATABASE_URL: "postgres://a@127.0.0.1:1/b" },
      4,
    ],
  ])("%s is refused", async (_what, args, env, code) => {
    expect((await run(args, env)).code).toBe(code);
  });
});
