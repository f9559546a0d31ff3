import { createHash, createPublicKey } from "node:crypto";
import { type CryptoKey, importJWK, type JWK } from "jose";

/** A key that tokens are verified with: the name a token's `kid` picks it by, and the one algorithm it is good for. */
export interface RingKey {
  readonly kid: string;
  readonly algorithm: "HS256" | PublicAlgorithm;
  readonly key: CryptoKey | Uint8Array;
}

/** The keys of a deployment. */
export interface KeySettings {
  /** Signs new tokens and verifies (HS256). */
  readonly jwt_secret: string;
  /** Verify only: secrets of before, until the tokens they signed have run out. */
  readonly jwt_previous_secrets: readonly string[];
  /** Of others who issue tokens, as `publicKeysFrom` has let them pass. */
  readonly jwt_public_keys: readonly PublicKey[];
}

type PublicAlgorithm = "RS256" | "ES256" | "EdDSA";

/** A public key of a key set, with its name and its algorithm settled. */
export type PublicKey = JWK & { readonly kid: string; readonly alg: PublicAlgorithm };

const MAX_KEYS = 32;
const MIN_RSA_BITS = 2048;
/** Members of RFC 7518 that only a private or a symmetric key has. */
const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/**
 * The name of a secret, for `kid`: short, and no way back to a secret of the length we ask for. Whoever has a token has
 * more to guess by: its signature.
 */
export const kidOf = (secret: string) =>
  createHash("sha256").update(`coding-brain kid ${secret}`).digest("base64url").slice(0, 16);

/**
 * The public keys of a JSON Web Key Set (RFC 7517). Each has one algorithm, which follows from what the key is:
 * RSA of at least 2048 bits RS256, P-256 ES256, Ed25519 EdDSA. Throws an Error with a sentence for anything else, for a
 * private or symmetric key, and for keys without names of their own.
 */
export function publicKeysFrom(text: string): PublicKey[] {
  const set = jsonFrom(text);
  const keys = isRecord(set) && Array.isArray(set.keys) ? set.keys : undefined;
  if (!keys || keys.length === 0 || keys.length > MAX_KEYS)
    throw new Error(`must be a JSON Web Key Set with 1 to ${MAX_KEYS} keys`);
  const checked = keys.map((key: unknown, index) => {
    try {
      return publicKey(key);
    } catch (error) {
      throw new Error(
        `has a key that cannot be used, keys.${index}: ${error instanceof Error ? error.message : error}`,
      );
    }
  });
  if (new Set(checked.map(({ kid }) => kid)).size < checked.length) throw new Error("has two keys with the same kid");
  return checked;
}

function publicKey(key: unknown): PublicKey {
  if (!isRecord(key)) throw new Error("it is no object");
  if (PRIVATE_MEMBERS.some((member) => member in key)) throw new Error("it is a private or symmetric key");
  const { kid, alg, use } = key;
  if (typeof kid !== "string" || kid === "") throw new Error("it has no kid");
  const known = algorithmOf(key);
  if (!known) throw new Error("it is none of RSA, EC P-256 and OKP Ed25519");
  if (alg !== undefined && alg !== known) throw new Error(`its alg is not ${known}`);
  if (use !== undefined && use !== "sig") throw new Error("its use is not sig");
  if (Array.isArray(key.key_ops) && !key.key_ops.includes("verify")) throw new Error("its key_ops have no verify");
  const { kty, crv, x, y, n, e } = key as JWK;
  const bare = JSON.parse(JSON.stringify({ kty, crv, x, y, n, e })) as JWK; // x5u, x5c and the like stay behind
  // Whoever holds the private half of such a key is anybody: one exponent, and points of small order, verify forgeries.
  if (known === "RS256" && e !== "AQAB") throw new Error("its exponent is not 65537");
  if (known === "EdDSA" && isOfSmallOrder(String(x))) throw new Error("it is a point of small order");
  const { modulusLength } = loaded(bare).asymmetricKeyDetails ?? {};
  if (modulusLength !== undefined && modulusLength < MIN_RSA_BITS)
    throw new Error(`it has ${modulusLength} bits, and ${MIN_RSA_BITS} is the least`);
  return { ...bare, kid, alg: known };
}

function loaded(key: JWK) {
  try {
    return createPublicKey({ key: key as never, format: "jwk" });
  } catch {
    throw new Error("it is not readable"); // the cause may repeat the key
  }
}

/** The y coordinates, little endian, of the points of small order on Curve25519 in Edwards form, in every encoding. */
const SMALL_ORDER = new Set([
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]);

function isOfSmallOrder(x: string): boolean {
  const point = Buffer.from(x, "base64url");
  const last = point.at(-1) ?? 0;
  point[point.length - 1] = last & 0x7f; // without the sign of the other coordinate
  return SMALL_ORDER.has(point.toString("hex"));
}

function algorithmOf({ kty, crv }: Record<string, unknown>): PublicAlgorithm | undefined {
  if (kty === "RSA") return "RS256";
  if (kty === "EC" && crv === "P-256") return "ES256";
  if (kty === "OKP" && crv === "Ed25519") return "EdDSA";
  return undefined;
}

/** Every key that a token may be signed with, the one that signs ours first. Throws an Error where two have one name. */
export async function keyRing({ jwt_secret, jwt_previous_secrets, jwt_public_keys }: KeySettings): Promise<RingKey[]> {
  const encoder = new TextEncoder();
  const secrets = [jwt_secret, ...jwt_previous_secrets].map((secret) => ({
    kid: kidOf(secret),
    algorithm: "HS256" as const,
    key: encoder.encode(secret),
  }));
  const others = await Promise.all(
    jwt_public_keys.map(async (key) => ({ kid: key.kid, algorithm: key.alg, key: await importJWK(key, key.alg) })),
  );
  const ring = [...secrets, ...others];
  if (new Set(ring.map(({ kid }) => kid)).size < ring.length) throw new Error("two keys of the ring have the same kid");
  return ring;
}

function jsonFrom(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // told by the caller
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
