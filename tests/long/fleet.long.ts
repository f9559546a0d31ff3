import { afterAll, beforeAll, expect, test } from "bun:test";
import { rolling } from "../support/rolling.ts";
import { openWorld, type World } from "../support/world.ts";

/** The story of tests/http/fleet.test.ts under more load, with every process replaced: by hand, `bun run test:long`. */
let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const CALLERS = 32;

test("three processes under load, one killed, then each replaced", async () => {
  const told = await rolling(world, { callers: CALLERS, rest_ms: 0, pause_ms: 3000, replaced: 3 });
  const { answers_of_streams, ...figures } = told;
  console.log(figures);
  expect(told.faults).toEqual([]);
  expect(told.lost_writes).toEqual([]);
  expect(told.embedded_twice).toEqual([]);
  expect(told.broken_before).toBe(0);
  expect(told.broken_by_kill).toBeGreaterThan(0);
  expect(told.broken_by_kill).toBeLessThanOrEqual(CALLERS);
  expect(told.broken_by_replacing).toEqual([]);
  expect(told.exit_codes).toEqual([0, 0, 0]);
  expect(answers_of_streams).toHaveLength(32);
}, 180_000);
