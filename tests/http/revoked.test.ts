import { afterEach, beforeEach, expect, test } from "bun:test";
import { SCOPES } from "../../src/auth/scopes.ts";
import { mintToken } from "../../src/auth/tokens.ts";
import { ada, openWorld, type Person, SETTINGS, type World } from "../support/world.ts";

/** What requests with a revoked token count against: the address they come from, and not the user it was made for. */
let world: World;
beforeEach(async () => {
  world = await openWorld({ rate_limit_rpm: 1, rate_limit_burst: 3 });
});
afterEach(() => world.close());

const tokenOf = ({ org, sub }: Person) => mintToken(SETTINGS, { org, sub, scopes: SCOPES, days: 1 });

const revoke = ({ org }: Person, jti: string) => world.owner`
  insert into brain.revoked_tokens (org_id, jti, expires_at) values (app.org_key(${org}), ${jti}, now())`;

/** The status of a request, and what it says is left. */
const knock = async (token: string, path = "/api/v1/tokens/me", init: RequestInit = {}) => {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const { status, headers: answered, body } = await world.raw(path, { ...init, headers });
  return [status, answered.get("x-ratelimit-remaining"), ...(body.code ? [body.code] : [])];
};

test("a revoked token that keeps coming uses up its address's limit, and leaves its user's alone", async () => {
  const [old, own] = [await tokenOf(ada), await tokenOf(ada)];
  expect(await knock(old.token)).toEqual([200, "2"]);
  await revoke(ada, old.jti);
  const answers = [];
  for (const _ of [1, 2, 3, 4, 5, 6]) answers.push(await knock(old.token));
  expect(answers).toEqual([
    [401, "2", "TOKEN_REVOKED"],
    [401, "1", "TOKEN_REVOKED"],
    [401, "0", "TOKEN_REVOKED"],
    [429, "0", "RATE_LIMITED"],
    [429, "0", "RATE_LIMITED"],
    [429, "0", "RATE_LIMITED"],
  ]);
  expect(await knock(own.token)).toEqual([200, "1"]);
});

test("what came before it was found revoked is given back, a batch with all its messages", async () => {
  const [old, own] = [await tokenOf(ada), await tokenOf(ada)];
  await revoke(ada, old.jti);
  const ping = { jsonrpc: "2.0", id: 1, method: "ping" };
  const batch = { method: "POST", body: JSON.stringify([ping, ping, ping]) };
  expect(await knock(old.token, "/mcp", batch)).toEqual([401, "2", "TOKEN_REVOKED"]);
  const another = await tokenOf(ada);
  await revoke(ada, another.jti);
  await Promise.all([1, 2, 3].map(() => knock(another.token)));
  expect(await knock(own.token)).toEqual([200, "2"]);
});
