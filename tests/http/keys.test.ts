import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { decodeProtectedHeader, importJWK, type JWK, SignJWT } from "jose";
import { kidOf, publicKeysFrom } from "../../src/auth/keys.ts";
import { ada, openWorld, SETTINGS, tokenFor, type World } from "../support/world.ts";

const pairs = {
  ES256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  EdDSA: generateKeyPairSync("ed25519"),
  RS256: generateKeyPairSync("rsa", { modulusLength: 2048 }),
};
const publicJwk = (algorithm: keyof typeof pairs, kid: string) => ({
  ...(pairs[algorithm].publicKey.export({ format: "jwk" }) as JWK),
  kid,
});
const SET = { keys: [publicJwk("ES256", "es"), publicJwk("EdDSA", "ed"), publicJwk("RS256", "rs")] };
const OLD_SECRET = "the secret of before, also long enough";

let world: World;
beforeAll(async () => {
  world = await openWorld({
    jwt_previous_secrets: [OLD_SECRET],
    jwt_public_keys: publicKeysFrom(JSON.stringify(SET)),
  });
});
afterAll(() => world.close());

const now = () => Math.floor(Date.now() / 1000);
const claims = () => ({
  sub: "ada",
  org_id: "acme",
  jti: crypto.randomUUID(),
  iss: SETTINGS.jwt_issuer,
  aud: SETTINGS.jwt_audience,
  iat: now(),
  exp: now() + 60,
});
const bytes = (secret: string) => new TextEncoder().encode(secret);
const knock = async (header: object, key: Parameters<SignJWT["sign"]>[0], payload: object = claims()) => {
  const token = await new SignJWT(payload as never).setProtectedHeader(header as never).sign(key);
  const { status, body } = await world.raw("/api/v1/tokens/me", { headers: { authorization: `Bearer ${token}` } });
  return status === 200 ? status : body.code;
};

describe("the ring", () => {
  test.each([
    ["ES256", "es"],
    ["EdDSA", "ed"],
    ["RS256", "rs"],
  ] as const)("a token by %s is let in, with its kid and with none", async (alg, kid) => {
    const key = pairs[alg].privateKey;
    expect(await knock({ alg, kid }, key)).toBe(200);
    expect(await knock({ alg }, key)).toBe(200);
  });

  test("the secret of before still verifies, and the present one signs by its own name", async () => {
    expect(await knock({ alg: "HS256", kid: kidOf(OLD_SECRET) }, bytes(OLD_SECRET))).toBe(200);
    expect(await knock({ alg: "HS256" }, bytes(OLD_SECRET))).toBe(200);
    const header = decodeProtectedHeader(await tokenFor(ada));
    expect(header).toMatchObject({ alg: "HS256", kid: kidOf(SETTINGS.jwt_secret) });
  });

  test("a world without the old secret refuses what it signed", async () => {
    const later = await openWorld();
    const token = await new SignJWT(claims()).setProtectedHeader({ alg: "HS256" }).sign(bytes(OLD_SECRET));
    const { body } = await later.raw("/api/v1/tokens/me", { headers: { authorization: `Bearer ${token}` } });
    expect(body.code).toBe("INVALID_TOKEN");
    await later.close();
  });

  test.each([
    ["a kid that is not of the ring", { alg: "ES256", kid: "other" }],
    ["the kid of another key", { alg: "ES256", kid: "ed" }],
    ["an empty kid", { alg: "ES256", kid: "" }],
    ["a kid that is no text", { alg: "ES256", kid: ["es"] }],
    ["a kid of null", { alg: "ES256", kid: null }],
  ])("%s is no token of ours", async (_what, header) => {
    expect(await knock(header, pairs.ES256.privateKey)).toBe("INVALID_TOKEN");
  });

  test("a public key is no secret: its text as an HMAC key opens nothing", async () => {
    for (const [alg, kid] of [
      ["RS256", "rs"],
      ["ES256", "es"],
    ] as const)
      for (const text of [
        pairs[alg].publicKey.export({ type: "spki", format: "pem" }) as string,
        JSON.stringify(publicJwk(alg, kid)),
      ])
        for (const header of [{ alg: "HS256", kid }, { alg: "HS256" }])
          expect(await knock(header, bytes(text))).toBe("INVALID_TOKEN");
  });

  test("a key that the token brings along or points at is not used", async () => {
    const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const jwk = stranger.publicKey.export({ format: "jwk" });
    for (const header of [{ jwk }, { jku: "https://evil.example.com/keys" }, { x5u: "https://evil.example.com/c" }])
      expect(await knock({ alg: "ES256", ...header }, stranger.privateKey)).toBe("INVALID_TOKEN");
  });

  test("an extension is refused, the one that jose knows too", async () => {
    for (const header of [{ crit: ["b64"], b64: true }, { b64: true }])
      expect(await knock({ alg: "ES256", ...header }, pairs.ES256.privateKey)).toBe("INVALID_TOKEN");
  });

  test("what is wrong with a token by another key is told as with ours", async () => {
    const key = pairs.EdDSA.privateKey;
    expect(await knock({ alg: "EdDSA" }, key, { ...claims(), exp: now() - 1 })).toBe("TOKEN_EXPIRED");
    expect(await knock({ alg: "EdDSA", kid: "ed" }, key, { ...claims(), aud: "x" })).toBe("INVALID_CLAIMS");
  });
});

describe("a key set", () => {
  const es = publicJwk("ES256", "es");
  const faulty: [string, unknown, RegExp][] = [
    ["no JSON", "{", /Key Set/],
    ["no keys", { keys: [] }, /Key Set/],
    ["a private key", { keys: [{ ...pairs.ES256.privateKey.export({ format: "jwk" }), kid: "x" }] }, /private/],
    ["a symmetric key", { keys: [{ kty: "oct", k: "AAAA", kid: "x" }] }, /symmetric/],
    ["a key without a name", { keys: [{ ...es, kid: undefined }] }, /no kid/],
    ["two of one name", { keys: [es, es] }, /same kid/],
    [
      "another curve",
      {
        keys: [{ ...generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey.export({ format: "jwk" }), kid: "x" }],
      },
      /none of/,
    ],
    ["another algorithm than the key's", { keys: [{ ...es, alg: "HS256" }] }, /alg/],
    ["a key to encrypt with", { keys: [{ ...es, use: "enc" }] }, /use/],
    [
      "a short RSA key",
      {
        keys: [
          { ...generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey.export({ format: "jwk" }), kid: "x" },
        ],
      },
      /1024/,
    ],
    ["an RSA key that verifies anything", { keys: [{ ...publicJwk("RS256", "x"), e: "AQ" }] }, /exponent/],
    [
      "a point of small order",
      { keys: [{ kty: "OKP", crv: "Ed25519", x: Buffer.alloc(32).toString("base64url"), kid: "x" }] },
      /small order/,
    ],
    ["a key that is none", { keys: [{ ...es, x: "AAAA" }] }, /readable/],
  ];
  test.each(faulty)("with %s is refused", (_what, set, message) => {
    expect(() => publicKeysFrom(typeof set === "string" ? set : JSON.stringify(set))).toThrow(message);
  });

  test("settles each key's algorithm, and keeps nothing but the key", async () => {
    const [key] = publicKeysFrom(JSON.stringify({ keys: [{ ...es, x5u: "https://evil.example.com" }] }));
    expect(Object.keys(key ?? {}).sort()).toEqual(["alg", "crv", "kid", "kty", "x", "y"]);
    expect(await importJWK(key as JWK, "ES256")).toBeDefined();
  });
});
