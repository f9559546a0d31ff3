import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ada, openWorld, type World } from "../support/world.ts";

/** What the database derives from a memory in the write's own transaction. */
let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const add = async (memory: object) => (await world.api(ada).post("/memories", memory)).body as { id: string };
const change = (id: string, changes: object) => world.api(ada).call("PATCH", `/memories/${id}`, changes);

/** The mentions of a memory: `key origin`, those out of sight in brackets. */
const mentionsOf = async ({ id }: { id: string }) => {
  const rows = await world.owner<{ key: string; origin: string; is_active: boolean }[]>`
    select key, origin, is_active from brain.memory_entities where memory_id = ${id} order by key collate "C"`;
  return rows.map(({ key, origin, is_active }) => (is_active ? `${key} ${origin}` : `(${key} ${origin})`));
};
const eventsOf = async ({ id }: { id: string }) => {
  const rows = await world.owner<{ told: string }[]>`
    select type || ' ' || start_date || ' ' || name as told from brain.events where memory_id = ${id}`;
  return rows.map(({ told }) => told);
};

describe("mentions", () => {
  test("come from the fields, the artifact, the code, and what the text shows to be a name", async () => {
    const memory = await add({
      content:
        "Ask @grace before `openDatabase()` changes; it lives in src/db.ts (and @elysiajs/jwt signs). Not mail@example.com, not `two words`.",
      entities: ["Connection Pool"],
      artifact_ref: "services/api",
      code_refs: [{ path: "src/main.ts", symbol: "startService" }],
    });
    expect(await mentionsOf(memory)).toEqual([
      "@elysiajs/jwt text",
      "connectionpool given",
      "grace text",
      "opendatabase text",
      "services/api artifact",
      "src/dbts text",
      "src/maints code",
      "startservice code",
    ]);
  });

  test("are one for all spellings, and the first one is shown", async () => {
    await add({ content: "One.", entities: ["Postgre SQL", "PostgreSQL"] });
    await add({ content: "Two.", entities: ["postgresql"] });
    const rows = await world.owner`select display_name from brain.entities where key = 'postgresql'`;
    expect(rows.map(({ display_name }) => display_name)).toEqual(["Postgre SQL"]);
  });

  test("of a name the space knows are found in a text, whatever the spelling; of stop words never", async () => {
    await add({ content: "Three.", entities: ["Blue Green Deployment", "all the", "C++"] });
    const memory = await add({
      content: "We do all the blue-green deployments' work by a blue-green deployment in C++ now.",
    });
    expect(await mentionsOf(memory)).toEqual(["bluegreendeployment text", "c++ text"]);
  });

  test("follow every change: of text, of state, of space", async () => {
    const memory = await add({ content: "Uses `alpha`." });
    await change(memory.id, { content: "Uses `beta`.", category: "testing" });
    expect(await mentionsOf(memory)).toEqual(["beta text"]);
    await world.owner`update brain.memories set state = 'archived' where id = ${memory.id}`;
    expect(await mentionsOf(memory)).toEqual(["(beta text)"]);
    await world.owner`update brain.memories set state = 'active' where id = ${memory.id}`;
    await change(memory.id, { access_entity: "project:acme/web" });
    const spaces = await world.owner<{ access_entity: string }[]>`
      select access_entity from brain.memory_entities join brain.spaces on spaces.id = space_id where memory_id = ${memory.id}`;
    expect(spaces.map(({ access_entity }) => access_entity)).toEqual(["project:acme/web"]);
    await world.api(ada).delete(`/memories/${memory.id}`);
    expect(await mentionsOf(memory)).toEqual([]);
  });

  test("stay within their bounds, whatever the text", async () => {
    const many = Array.from({ length: 200 }, (_, index) => `\`name${index}\``).join(" ");
    expect((await mentionsOf(await add({ content: many }))).length).toBe(64);
    const wide = await add({ content: "Wide.", entities: ["ﷺ".repeat(256), "...", "ok"] });
    expect(await mentionsOf(wide)).toEqual(["ok given"]);
    const long = await add({ content: `${"x".repeat(65_000)} src/end.ts` });
    expect(await mentionsOf(long)).toEqual(["src/endts text"]);
  });
});

describe("a dated decision is an event", () => {
  test.each([
    ["2025-03-31", { content: "On 2025-03-31 we chose Bun." }],
    ["2024-02-29", { content: "2024-02-29: leap." }],
    ["2025", { content: "We chose it.", tags: { date: "2025" } }],
    ["2025-07", { content: "Chosen then.", metadata: { decided_on: "2025-07" } }],
  ])("on %s", async (date, memory) => {
    const added = await add({ ...memory, category: "decision" });
    expect(await eventsOf(added)).toEqual([`decision ${date} ${memory.content}`]);
  });

  test.each([
    ["of a date that does not exist", { content: "2025-02-29 is no day.", category: "decision" }],
    ["of a number that only looks like one", { content: "Ticket 12025-03-31-7.", category: "decision" }],
    ["of another category", { content: "2025-03-31 was a Monday.", category: "note" }],
  ])("not %s", async (_what, memory) => {
    expect(await eventsOf(await add(memory))).toEqual([]);
  });

  test("only while it is an active decision, and in its words", async () => {
    const memory = await add({ content: "2025-05-05 first words\nmore", category: "decision" });
    await change(memory.id, { content: "2025-06-06 other words" });
    expect(await eventsOf(memory)).toEqual(["decision 2025-06-06 2025-06-06 other words"]);
    await world.owner`update brain.memories set state = 'archived' where id = ${memory.id}`;
    expect(await eventsOf(memory)).toEqual([]);
    await world.owner`update brain.memories set state = 'active' where id = ${memory.id}`;
    expect((await eventsOf(memory)).length).toBe(1);
    await change(memory.id, { category: "note" });
    expect(await eventsOf(memory)).toEqual([]);
  });
});
