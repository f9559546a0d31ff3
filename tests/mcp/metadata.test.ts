import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { publicKeysFrom } from "../../src/auth/keys.ts";
import { SCOPES_IN_USE } from "../../src/auth/scopes.ts";
import { openWorld, type World } from "../support/world.ts";

/** What a client may know before it has a token. */
let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const PATH = "/.well-known/oauth-protected-resource";

describe("protected resource metadata", () => {
  test("is for MCP and for the whole; a 401 does not send there", async () => {
    const { status, headers } = await world.raw("/mcp", { method: "POST" });
    expect([status, headers.get("www-authenticate")]).toEqual([401, 'Bearer realm="mcp"']);
    const told = {
      resource_name: "Coding Brain",
      bearer_methods_supported: ["header"],
      scopes_supported: SCOPES_IN_USE,
    };
    expect((await world.raw(`${PATH}/mcp`)).body).toEqual({ resource: "http://localhost/mcp", ...told });
    expect((await world.raw(PATH)).body).toEqual({ resource: "http://localhost", ...told });
  });

  test("says https where a proxy has it", async () => {
    const { body } = await world.raw(`${PATH}/mcp`, { headers: { "x-forwarded-proto": "https" } });
    expect(body.resource).toBe("https://localhost/mcp");
  });

  test("names who issues tokens, where others do", async () => {
    const { publicKey } = generateKeyPairSync("ed25519");
    const keys = JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), kid: "a", alg: "EdDSA" }] });
    const other = await openWorld({ jwt_public_keys: publicKeysFrom(keys), jwt_issuer: "https://id.example.com" });
    expect((await other.raw(PATH)).body.authorization_servers).toEqual(["https://id.example.com"]);
    await other.close();
  });

  test("is only to be read", async () => {
    expect((await world.raw(PATH, { method: "POST" })).status).toBe(405);
    expect((await world.raw(`${PATH}/other`)).status).toBe(404);
  });
});

describe("the health of MCP", () => {
  test("is public, and tells the revisions there are", async () => {
    expect(await world.raw("/mcp/health")).toMatchObject({
      status: 200,
      body: { status: "ok", protocol_versions: ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"] },
    });
  });

  test("is 503 where the schema is another", async () => {
    const other = await openWorld({ newest_migration: "999999.sql" });
    expect(await other.raw("/mcp/health")).toMatchObject({ status: 503, body: { code: "UNAVAILABLE" } });
    await other.close();
  });
});
