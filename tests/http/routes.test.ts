import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ROUTE_NEEDS, SCOPES } from "../../src/auth/scopes.ts";
import {
  type Answered,
  type Attempt,
  EVERYBODY,
  type Ground,
  layGround,
  PEOPLE,
  readRows,
  TEAM,
  type Thing,
  type Who,
} from "../support/access.ts";
import { openWorld, type World } from "../support/world.ts";

/**
 * Every route, tried by everybody: the owner, a team-mate with the grant, a member of the org without it, another org,
 * without the scope, without a token. Each file of tests/support/routes/ has rows for a feature's routes; a route
 * without a row fails.
 */
const ROWS = await readRows();

let world: World;
let ground: Ground;
beforeAll(async () => {
  world = await openWorld({ mcp_heartbeat_seconds: 86_400 });
  ground = await layGround(world);
});
afterAll(() => world.close());

test("every route that is registered has a row, and no other", () => {
  const registered = world.app.registered.map(({ method, path }) => `${method} ${path}`);
  expect([...ROWS.keys()].sort()).toEqual(registered.sort());
});

describe.each([...ROWS])("%s", (route, row) => {
  const [method = "", pattern = ""] = route.split(" ");
  const needs = ROUTE_NEEDS[route] ?? [];
  const open_to = row.open_to ?? TEAM;

  test.each(EVERYBODY)("as the %s", async (who) => {
    const { thing, attempt, before, answer } = await tried(who);
    const is_open = open_to.includes(who);
    expect([answer.status, answer.text]).toEqual([is_open ? row.status : (row.otherwise ?? 404), expect.any(String)]);
    expectNothingForbidden(who, thing, attempt, answer);
    expect(await ground.mark(who)).toBe(before ?? "");
    if (row.shows) expect(answer.text.includes(row.shows(thing))).toBe(is_open);
  });

  // Whatever is no GET is taken for a write unless its row says that it goes on.
  test("through an app that its owner has paused", async () => {
    const { answer } = await tried("owner", SCOPES, () => pause(false));
    await pause(true);
    const is_refused = method !== "GET" && !row.goes_on;
    expect([answer.status, answer.text.includes(`"code":"APP_PAUSED"`)]).toEqual([
      is_refused ? 403 : row.status,
      is_refused,
    ]);
  });

  test("without a token", async () => {
    const { thing, attempt, answer } = await tried(null);
    expect(answer.status).toBe(needs === "public" ? row.status : 401);
    expectNothingForbidden(null, thing, attempt, answer);
  });

  test.each(needs === "public" ? [] : [...needs])("without the scope %s", async (scope) => {
    const { thing, attempt, answer } = await tried(
      "owner",
      SCOPES.filter((one) => one !== scope),
    );
    expect([answer.status, JSON.parse(answer.text)]).toEqual([
      403,
      expect.objectContaining({ code: "INSUFFICIENT_SCOPE" }),
    ]);
    expectNothingForbidden(null, thing, attempt, answer);
  });

  async function tried(who: Who | null, scopes?: readonly string[], first?: () => Promise<unknown>) {
    const thing = await (row.make ?? (() => ground.memory()))(ground);
    await first?.();
    const attempt = row.call(thing);
    const before = who && (await ground.mark(who));
    const answer = await ground.ask(who, method, pattern, thing, attempt, scopes);
    await thing.close?.();
    return { thing, attempt, before, answer };
  }
});

/** Every app of the owner's. */
const pause = async (is_active: boolean) => {
  await world.owner`
    update brain.apps set is_active = ${is_active}
    where owner_id = (select id from brain.users where org_id = app.org_key(${PEOPLE.owner.org}) and sub = ${PEOPLE.owner.sub})`;
};

function expectNothingForbidden(who: Who | null, thing: Thing, attempt: Attempt, { headers, text }: Answered) {
  const told = ground.forbidden(who, thing, attempt).filter((words) => text.includes(words) || headers.includes(words));
  expect(told).toEqual([]);
}
