import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Ground, layGround, PEOPLE, readRows } from "../support/access.ts";
import { openWorld, type World } from "../support/world.ts";

/**
 * How many statements an answer takes: as many with hundreds of rows as with a few. A statement a row would show here
 * and nowhere else, until somebody has many rows.
 */
const ROWS = await readRows();
/** begin, app.enter, commit are three. */
const MOST = 16;
const MANY = 300;
/** What reads all there is does so by so many rows, to keep its memory flat, with six statements for each. */
const BATCHES: Record<string, number> = { "POST /api/v1/backup/export": 100 };

let world: World;
let ground: Ground;
let statements: string[] = [];
const few = new Map<string, number>();

beforeAll(async () => {
  world = await openWorld({ mcp_heartbeat_seconds: 86_400 }, { sent: (statement) => void statements.push(statement) });
  ground = await layGround(world);
  for (const route of ROWS.keys()) few.set(route, await countFor(route));
  await storeMany();
}, 120_000);
afterAll(() => world.close());

/** Reads a batch after the other, so that memory stays flat: tests/long/backup.long.ts. */
const IN_BATCHES = "POST /api/v1/backup/export";
const ROUTES = [...ROWS.keys()].filter((route) => !route.includes("/mcp") && route !== IN_BATCHES);

async function countFor(route: string): Promise<number> {
  const row = ROWS.get(route);
  if (!row) throw new Error(`${route} has no row`);
  const thing = await (row.make ?? (() => ground.memory()))(ground);
  const [method = "", pattern = ""] = route.split(" ");
  // Twice: the first time may have to make something.
  for (let times = 0; times < (method === "GET" ? 2 : 1); times++) {
    statements = [];
    await ground.ask("owner", method, pattern, thing, row.call(thing));
  }
  await thing.close?.();
  return statements.length;
}

/** Memories with everything that others are found by, apps, revisions, recalls. */
async function storeMany() {
  const api = world.api(PEOPLE.owner);
  const memories = Array.from({ length: MANY }, (_, index) => ({
    content: `row ${index} of many`,
    access_entity: "project:acme/web",
    category: "decision",
    entities: ["Shared Entity", `Entity ${index}`],
    tags: { shared: true, [`tag-${index}`]: index },
    evidence: ["ADR 1"],
    artifact_ref: "src/shared.ts",
    thread: `thread ${index % 5}`,
  }));
  for (let at = 0; at < MANY; at += 100) {
    const { status } = await api.post("/memories/batch", { memories: memories.slice(at, at + 100) });
    expect(status).toBe(201);
  }
  for (let index = 0; index < 20; index++)
    await (await world.assistant(PEOPLE.owner, { user_agent: `client-${index}/1` })).call("list_memories", {
      limit: 50,
    });
  while ((await world.database.writeRecalls()) > 0);
}

test.each(ROUTES)("%s takes as many statements with many rows as with few", async (route) => {
  const count = await countFor(route);
  const batch = BATCHES[route];
  const more = batch ? 6 * Math.ceil(MANY / batch) : 0;
  expect(count).toBeLessThanOrEqual((few.get(route) ?? 0) + more);
  expect(count).toBeLessThanOrEqual(MOST + more);
});

describe("what takes many takes as many statements as for two", () => {
  const api = () => world.api(PEOPLE.owner);
  const counted = async (work: () => Promise<{ status: number }>) => {
    statements = [];
    const { status } = await work();
    expect(status).toBeLessThan(300);
    return statements.length;
  };
  const batch = (count: number) => ({
    memories: Array.from({ length: count }, () => ({ content: crypto.randomUUID(), entities: [crypto.randomUUID()] })),
  });
  const stored = async (count: number): Promise<string[]> =>
    (await api().post("/memories/batch", batch(count))).body.items.map(({ id }: { id: string }) => id);

  test("a batch", async () => {
    const two = await counted(() => api().post("/memories/batch", batch(2)));
    expect(await counted(() => api().post("/memories/batch", batch(100)))).toBe(two);
  });

  test.each(["archive", "pause", "restore"])("%s", async (action) => {
    const path = `/memories/actions/${action}`;
    const ready = async (count: number) => {
      const memory_ids = await stored(count);
      if (action === "restore") await api().post("/memories/actions/pause", { memory_ids });
      return { memory_ids };
    };
    const [two, hundred] = [await ready(2), await ready(100)];
    const count = await counted(() => api().post(path, two));
    expect(await counted(() => api().post(path, hundred))).toBe(count);
    expect(count).toBe(4); // begin, enter, the action, commit
  });

  test("deleting", async () => {
    const [two, hundred] = [await stored(2), await stored(100)];
    const count = await counted(() => api().delete("/memories", { memory_ids: two }));
    expect(await counted(() => api().delete("/memories", { memory_ids: hundred }))).toBe(count);
  });

  test.each(["?size=2", "?size=100", "?size=100&search_query=row", "?size=100&sort_column=content"])(
    "a list: %s",
    async (query) => {
      const two = await counted(() => api().get(`/memories${query.replace("100", "2")}`));
      expect(await counted(() => api().get(`/memories${query}`))).toBe(two);
    },
  );

  test("writing recalls down", async () => {
    while ((await world.database.writeRecalls()) > 0);
    await api().get("/memories?size=100");
    for (let times = 0; times < 10; times++) await api().get(`/memories?size=${times + 1}`);
    statements = [];
    await world.database.writeRecalls();
    expect(statements.length).toBe(3);
  });
});
