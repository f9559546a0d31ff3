import { afterAll, beforeAll, expect, test } from "bun:test";
import { rolling } from "../support/rolling.ts";
import { openWorld, type World } from "../support/world.ts";

/** Several processes behind a round robin, of which one is killed and one is replaced. Longer: tests/long/fleet.long.ts. */
let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const CALLERS = 8;

test("three processes: a kill breaks what is open to the killed one, a replacement nothing, and no write is lost", async () => {
  const told = await rolling(world, { callers: CALLERS, rest_ms: 50, pause_ms: 200, replaced: 1 });
  expect(told.faults).toEqual([]);
  expect(told.lost_writes).toEqual([]);
  expect(told.embedded_twice).toEqual([]);
  expect(told.broken_before).toBe(0);
  expect(told.broken_by_kill).toBeLessThanOrEqual(CALLERS); // each has one request open at most
  expect(told.broken_by_replacing).toEqual([]);
  expect(told.exit_codes).toEqual([0]);
  expect(new Set(told.answers_of_streams)).toEqual(new Set(Array.from({ length: 30 }, (_, id) => id)));
  expect(told.answers_of_streams).toHaveLength(32);
  expect(told.answered).toBeGreaterThan(50);
  expect(told.embedded).toBeGreaterThan(0);
}, 60_000);
