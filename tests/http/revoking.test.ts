import { afterAll, beforeAll, expect, test } from "bun:test";
import { decodeJwt } from "jose";
import { ada, ben, eve, openWorld, tokenFor, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const send = (token: string, path: string, body?: unknown) =>
  world.raw(`/api/v1${path}`, {
    method: path === "/tokens/revoke" ? "POST" : "GET",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
const jtiOf = (token: string) => decodeJwt(token).jti ?? "";
const without = (scope: string) => ["memories:read", "admin:read", "admin:write"].filter((one) => one !== scope);

test.each([undefined, {}])("a token revokes itself, and is refused from then on; body %p", async (body) => {
  const token = await tokenFor({ ...ada, scopes: [] });
  expect((await send(token, "/tokens/me")).status).toBe(200);
  expect((await send(token, "/tokens/revoke", body)).status).toBe(204);
  const refused = await send(token, "/tokens/me");
  expect([refused.status, refused.body.code]).toEqual([401, "TOKEN_REVOKED"]);
  expect((await send(await tokenFor(ada), "/tokens/me")).status).toBe(200);
});

test("another of one's org by its jti, with admin:write; again is fine, and is one event", async () => {
  const [admin, other] = await Promise.all([tokenFor(ada), tokenFor(ben)]);
  const jti = jtiOf(other);
  for (let times = 0; times < 2; times++) expect((await send(admin, "/tokens/revoke", { jti })).status).toBe(204);
  expect((await send(other, "/tokens/me")).body.code).toBe("TOKEN_REVOKED");
  const { body } = await send(admin, `/audit?action=token.revoked&target=${jti}`);
  expect(body.items).toMatchObject([{ user: "ada", targets: [jti], outcome: "done" }]);
});

test("not another's without admin:write", async () => {
  const [one, other] = await Promise.all([tokenFor({ ...ada, scopes: without("admin:write") }), tokenFor(ben)]);
  const { status, body } = await send(one, "/tokens/revoke", { jti: jtiOf(other) });
  expect([status, body.code]).toEqual([403, "INSUFFICIENT_SCOPE"]);
  expect((await send(other, "/tokens/me")).status).toBe(200);
});

test("never one of another org: the same answer as for a jti nobody has", async () => {
  const [admin, foreign] = await Promise.all([tokenFor(eve), tokenFor(ada)]);
  const answers = [];
  for (const jti of [jtiOf(foreign), crypto.randomUUID()])
    answers.push((await send(admin, "/tokens/revoke", { jti })).status);
  expect(answers).toEqual([204, 204]);
  expect((await send(foreign, "/tokens/me")).status).toBe(200);
});

test.each([{ jti: "" }, { jti: 7 }, { jti: "x".repeat(257) }, { token: "x" }, [[]]])("refuses %p", async (body) => {
  const token = await tokenFor(ada);
  expect((await send(token, "/tokens/revoke", body)).status).toBe(422);
  expect((await send(token, "/tokens/me")).status).toBe(200);
});

test("nobody enters without the name of a token", async () => {
  for (const jti of ["", null])
    await expect(
      world.owner.begin((tx) => tx`select app.enter('acme', 'ada', ${jti}, '{}')`) as Promise<unknown>,
    ).rejects.toMatchObject({ code: "P0001" });
});
