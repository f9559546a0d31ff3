import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ada, ben, cyd, openWorld, type Person, type World } from "../support/world.ts";

/** Who shares what with whom, by either door: the same memories, spaces and refusals. */
let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const SHARED = "project:acme/web";
const told = ({ code, options }: Record<string, unknown>) => (options ? { code, options } : { code });

/** What both doors can do, as one of them does it. A refusal comes back as its code, with its options. */
interface Door {
  store(person: Person, content: string, access_entity?: string): Promise<Record<string, unknown>>;
  change(person: Person, id: string, changes: { content?: string; access_entity?: string }): Promise<unknown>;
  read(person: Person, id: string): Promise<Record<string, unknown>>;
  remove(person: Person, id: string): Promise<{ deleted: number }>;
  spaces(person: Person): Promise<string[]>;
}

const rest: Door = {
  store: (person, content, access_entity) => told_by(world.api(person).post("/memories", { content, access_entity })),
  change: (person, id, changes) => told_by(world.api(person).put(`/memories/${id}`, changes)),
  read: (person, id) => told_by(world.api(person).get(`/memories/${id}`)),
  remove: async (person, id) => (await world.api(person).delete("/memories", { memory_ids: [id] })).body,
  spaces: async (person) => spacesOf((await world.api(person).get("/memories?size=100")).body.items),
};

const mcp: Door = {
  store: async (person, text, access_entity) => {
    const { memories, problem } = (await tool(person, "add_memories", { text, access_entity })) as never;
    return problem ? told(problem) : memories[0];
  },
  change: (person, memory_id, { content, access_entity }) =>
    tool(person, "update_memory", { memory_id, text: content, access_entity }).then(orRefusal),
  read: (person, memory_id) => tool(person, "get_memory", { memory_id }).then(orRefusal),
  remove: async (person, id) => (await tool(person, "delete_memories", { memory_ids: [id] })) as { deleted: number },
  spaces: async (person) => {
    const { items } = (await tool(person, "list_memories", { limit: 100 })) as never;
    return spacesOf(items);
  },
};

async function told_by(asked: Promise<{ status: number; body: Record<string, unknown> }>) {
  const { status, body } = await asked;
  return status < 300 ? body : told(body);
}

const tool = async (person: Person, name: string, args: Record<string, unknown>) =>
  (await world.assistant(person)).call(name, JSON.parse(JSON.stringify(args)));

const orRefusal = (answer: unknown) => {
  const { problem } = answer as { problem?: Record<string, unknown> };
  return problem ? told(problem) : (answer as Record<string, unknown>);
};

const spacesOf = (memories: { access_entity: string }[]) =>
  [...new Set(memories.map(({ access_entity }) => access_entity))].sort();

describe.each(Object.entries({ REST: rest, MCP: mcp }))("%s", (name, door) => {
  const person = (sub: string, grants: string[] = [], org = "acme"): Person => ({ org, sub: `${sub}-${name}`, grants });

  test("a memory is one's own unless a space is named", async () => {
    const dee = person("dee", [SHARED, "team:acme/ops"]);
    expect(await door.store(dee, "mine")).toMatchObject({ access_entity: `user:${dee.sub}` });
  });

  test("auto is the one shared space there is; none and several are refused with what there is", async () => {
    expect(await door.store(person("one", [SHARED]), `shared over ${name}`, "auto")).toMatchObject({
      access_entity: SHARED,
    });
    expect(await door.store(person("none"), "x", "auto")).toEqual({ code: "ACCESS_ENTITY_AMBIGUOUS", options: [] });
    expect(await door.store(person("two", [SHARED, "team:acme/ops", SHARED]), "x", "auto")).toEqual({
      code: "ACCESS_ENTITY_AMBIGUOUS",
      options: [SHARED, "team:acme/ops"],
    });
  });

  test.each([
    ["project:acme/web", "project:acme/web", true],
    ["project:acme/web", "project:acme/web/api", true],
    ["project:acme/web", "team:acme/web/core", true],
    ["project:acme/web", "team:acme/web", false],
    ["project:acme/web", "project:acme", false],
    ["project:acme/web", "project:acme/website", false],
    ["project:acme/web", "project:acme/Web", false],
    ["project:acme/web", "org:acme/web/x", false],
    ["team:acme", "team:acme/ops", false],
    ["org:acme", "org:acme/legal", true],
    ["org:acme", "team:acme/legal/eu", true],
    ["org:acme", "project:acme2/x", false],
    ["org:acme", "user:ada", false],
  ])("who holds %s may write to %s: %p, and then whoever holds the same reads it", async (held, space, may) => {
    const [writer, reader] = [person("writer", [held]), person("reader", [held])];
    const stored = await door.store(writer, `to ${space} by ${held} over ${name}`, space);
    if (!may) expect(stored).toEqual({ code: "FORBIDDEN_ACCESS_ENTITY" });
    else {
      expect(stored).toMatchObject({ access_entity: space });
      expect(await door.read(reader, String(stored.id))).toMatchObject({ id: stored.id, owner: writer.sub });
      const stranger = person("writer", [held, space], "umbrella");
      expect(await door.read(stranger, String(stored.id))).toEqual({ code: "NOT_FOUND" });
      expect(await door.read(person("other", ["team:acme/else"]), String(stored.id))).toEqual({ code: "NOT_FOUND" });
    }
  });

  test("a team-mate changes and deletes it, and it stays its writer's, through its writer's app", async () => {
    const [writer, mate] = [person("eva", [SHARED]), person("mate", [SHARED])];
    const { id } = await door.store(writer, `ours by ${name}`, SHARED);
    const before = await rest.read(writer, String(id));
    await door.change(mate, String(id), { content: `ours by ${name}, better` });
    // By the other door, whose app is another one.
    await (door === rest ? mcp : rest).change(mate, String(id), { content: `ours by ${name}, best` });
    expect(await rest.read(writer, String(id))).toEqual({
      ...before,
      content: `ours by ${name}, best`,
      revision: 3,
      updated_at: expect.any(String),
    });
    expect(before).toMatchObject({ owner: writer.sub, app: door === rest ? "rest" : "claude-code" });
    const { body: history } = await world.api(writer).get(`/memories/${id}/history`);
    expect(history.items.map(({ updated_by }: { updated_by: string }) => updated_by)).toEqual([
      mate.sub,
      mate.sub,
      writer.sub,
    ]);
    expect(await door.remove(mate, String(id))).toMatchObject({ deleted: 1 });
    expect(await door.read(writer, String(id))).toEqual({ code: "NOT_FOUND" });
  });

  test("a move needs the space it comes from and the one it goes to", async () => {
    const [both, from_only] = [person("both", [SHARED, "team:acme/ops"]), person("from", [SHARED])];
    const to_only = person("to", ["team:acme/ops"]);
    const { id } = await door.store(both, `to be moved by ${name}`, SHARED);
    const to = { access_entity: "team:acme/ops" };
    expect(await door.change(from_only, String(id), to)).toEqual({ code: "FORBIDDEN_ACCESS_ENTITY" });
    expect(await door.change(to_only, String(id), to)).toEqual({ code: "NOT_FOUND" });
    expect(await door.change(person("neither"), String(id), to)).toEqual({ code: "NOT_FOUND" });
    expect(await door.read(both, String(id))).toMatchObject({ access_entity: SHARED });
    expect(await door.change(both, String(id), to)).toMatchObject({ id });
    expect(await door.read(to_only, String(id))).toMatchObject({ ...to, owner: both.sub });
    expect(await door.read(from_only, String(id))).toEqual({ code: "NOT_FOUND" });
  });

  test("a space of one name in two orgs is two spaces", async () => {
    const [here, there] = ["one", "two"].map((org) => person("gil", ["org:acme"], `${org} over ${name}`)) as [
      Person,
      Person,
    ];
    const { id } = await door.store(here, "in one", "org:acme");
    expect(await door.spaces(there)).toEqual([]);
    const other = await door.store(there, "in one", "org:acme");
    expect(other.id).not.toBe(id);
    expect(other).not.toHaveProperty("duplicate");
    expect(await door.read(there, String(id))).toEqual({ code: "NOT_FOUND" });
  });
});

test("what a token grants opens the very spaces the rule says, for 40 holders and 60 spaces by chance", async () => {
  const pick = <T>(values: readonly T[]) => values[Math.floor(Math.random() * values.length)] as T;
  const random = () =>
    `${pick(["team", "project", "org"])}:${Array.from({ length: 1 + Math.floor(Math.random() * 4) }, () => pick(["a", "b", "ab", "A", "a.b", "_"])).join("/")}`;
  const spaces = [...new Set(Array.from({ length: 60 }, random))];
  const writer = { org: "chance", sub: "writer", grants: spaces };
  const memories = spaces.map((access_entity) => ({ content: access_entity, access_entity }));
  expect((await world.api(writer).post("/memories/batch", { memories })).status).toBe(201);
  for (let holder = 0; holder < 40; holder++) {
    const grants = [random(), pick(spaces)];
    const reader = { org: "chance", sub: "reader", grants };
    const expected = spaces.filter((space) => grants.some((grant) => covers(grant, space))).sort();
    expect({ grants, spaces: await rest.spaces(reader) }).toEqual({ grants, spaces: expected });
  }
  expect(await rest.spaces({ ...writer, sub: "nobody", grants: [] })).toEqual([]);
  expect(await rest.spaces({ ...writer, org: "another" })).toEqual([]);
});

/** The table of docs/database.md, read the other way round. */
function covers(grant: string, space: string): boolean {
  const [[held, above], [kind, path]] = [grant, space].map((name) => name.split(":")) as [string[], string[]];
  if (grant === space) return true;
  return `${path}`.startsWith(`${above}/`) && (held === "org" || (held === "project" && kind !== "org"));
}

test("what was shared with ben is no longer his without the grant, and nobody else's ever", async () => {
  const { id } = await rest.store(ada, "shared for a while", SHARED);
  expect(await rest.read(ben, String(id))).toMatchObject({ id });
  for (const person of [{ ...ben, grants: [] }, cyd])
    expect(await rest.read(person, String(id))).toEqual({ code: "NOT_FOUND" });
});
