import { jwt } from "@elysiajs/jwt";
import { Elysia } from "elysia";
import { decodeProtectedHeader, errors, jwtVerify } from "jose";
import { missingAuth, Problem, type ProblemCode } from "../problem.ts";
import { grantsFrom } from "./grants.ts";
import { type KeySettings, keyRing, kidOf, type RingKey } from "./keys.ts";
import { VerifiedTokens } from "./verified.ts";

/** What a verified token says. */
export interface Identity {
  readonly org: string;
  readonly sub: string;
  readonly jti: string;
  readonly scopes: ReadonlySet<string>;
  /** Own `user:` space first, then the shared ones. */
  readonly grants: readonly string[];
  /** Unix seconds. */
  readonly expires_at: number;
}

export interface TokenSettings extends KeySettings {
  readonly jwt_issuer: string;
  readonly jwt_audience: string;
  readonly jwt_max_lifetime_seconds: number;
}

/** What a new token is to say. */
export interface NewToken {
  org: string;
  sub: string;
  scopes: readonly string[];
  grants?: readonly string[];
  /** Lifetime in days, or a part of one. */
  days: number;
}

const CLOCK_SKEW_SECONDS = 30;
const MAX_GRANTS = 256;
const MAX_GRANT_LENGTH = 512;
const MAX_NAME_LENGTH = 256;

/** Makes a token (HS256), its `kid` that of the secret. Throws nothing; the caller has checked its input. */
export async function mintToken(
  settings: Pick<TokenSettings, "jwt_secret" | "jwt_issuer" | "jwt_audience">,
  { org, sub, scopes, grants = [], days }: NewToken,
) {
  const signer = new Elysia().use(
    jwt({
      name: "token",
      secret: settings.jwt_secret,
      iss: settings.jwt_issuer,
      aud: settings.jwt_audience,
      kid: kidOf(settings.jwt_secret),
      exp: `${Math.floor(days * 86_400)}s`,
    }),
  ).decorator.token;
  const jti = crypto.randomUUID();
  const token = await signer.sign({ sub, org_id: org, jti, scope: scopes.join(" "), grants: [...grants] });
  return { token, jti };
}

/**
 * Gives a function from an Authorization header to the identity behind it. It throws a 401 problem whose code says which
 * check failed. Only configured keys, issuer and audience count: a token's `kid` picks among them, and its `alg` must be
 * the picked key's own. Whatever else its header says about keys is not read, and a `crit` is refused.
 */
export async function tokenVerifier(settings: TokenSettings) {
  const ring = await keyRing(settings);
  const checks = {
    issuer: settings.jwt_issuer,
    audience: settings.jwt_audience,
    requiredClaims: ["sub", "org_id", "jti", "iss", "aud", "iat", "exp"],
    clockTolerance: 0,
  };

  const verified = new VerifiedTokens();

  return async (authorization: string | null): Promise<Identity> => {
    const token = bearerToken(authorization);
    const known = verified.find(token);
    if (known) return known;
    let refusal: unknown = "no key of that name";
    for (const { key, algorithm } of candidates(ring, token)) {
      try {
        const { payload } = await jwtVerify(token, key, { ...checks, algorithms: [algorithm] });
        const identity = identityFrom(payload, settings.jwt_max_lifetime_seconds);
        verified.keep(token, identity);
        return identity;
      } catch (error) {
        if (error instanceof Problem) throw error;
        if (!isOfAnotherKey(error)) throw notAccepted(codeOf(error), error);
        refusal = error;
      }
    }
    throw notAccepted("INVALID_TOKEN", refusal);
  };
}

/** The key a token names; all of them, each with its own algorithm, for a token that names none. */
function candidates(ring: readonly RingKey[], token: string): readonly RingKey[] {
  const header = headerOf(token);
  // jose knows one extension, b64, and takes it: a token of ours needs none.
  if ("crit" in header || "b64" in header) throw notAccepted("INVALID_TOKEN", "an extension in the header");
  return Object.hasOwn(header, "kid") ? ring.filter((key) => key.kid === header.kid) : ring;
}

function headerOf(token: string) {
  try {
    return decodeProtectedHeader(token);
  } catch (error) {
    throw notAccepted("INVALID_TOKEN", error);
  }
}

const isOfAnotherKey = (error: unknown) =>
  error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JOSEAlgNotAllowed;

const notAccepted = (code: ProblemCode, cause: unknown) => new Problem(code, "The token was not accepted.", { cause });

function bearerToken(authorization: string | null): string {
  if (authorization === null) throw missingAuth();
  const [, token] = /^bearer(?:\s+(.*))?$/is.exec(authorization.trim()) ?? [];
  if (token === undefined) {
    if (/^bearer$/i.test(authorization.trim())) throw new Problem("EMPTY_TOKEN", "The bearer token is empty.");
    throw new Problem("INVALID_AUTH_FORMAT", "Only bearer tokens are taken: Authorization: Bearer <token>.");
  }
  // jose would take a trailing '='; the shape is checked before it.
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) throw new Problem("INVALID_TOKEN", "That is not a token.");
  return token;
}

function codeOf(error: unknown): ProblemCode {
  if (error instanceof errors.JWTExpired) return "TOKEN_EXPIRED";
  if (error instanceof errors.JWTClaimValidationFailed) return "INVALID_CLAIMS";
  return "INVALID_TOKEN";
}

/** What jose leaves open: blank names, list scopes, odd numbers, tokens from the future, endless tokens. */
function identityFrom(claims: Record<string, unknown>, max_lifetime_seconds: number): Identity {
  const { sub, org_id, jti, iat, exp, scope = "", grants = [] } = claims;
  if (!isName(sub) || !isName(org_id) || !isName(jti)) throw invalidClaims("sub, org_id and jti");
  if (!isSeconds(iat) || !isSeconds(exp)) throw invalidClaims("iat and exp");
  if (iat > Date.now() / 1000 + CLOCK_SKEW_SECONDS)
    throw new Problem("INVALID_IAT", "The token claims to have been issued in the future.");
  if (exp - iat > max_lifetime_seconds) throw invalidClaims("the lifetime");
  if (typeof scope !== "string") throw invalidClaims("scope");
  if (!Array.isArray(grants) || grants.length > MAX_GRANTS || grants.some(isTooLong)) throw invalidClaims("grants");
  return {
    org: org_id,
    sub,
    jti,
    scopes: new Set(scope.split(" ").filter(Boolean)),
    grants: grantsFrom(grants, sub),
    expires_at: exp,
  };
}

const invalidClaims = (which: string) => new Problem("INVALID_CLAIMS", `The token's claims do not fit: ${which}.`);

/** Not blank, not too long, no control characters, and text PostgreSQL can store. */
const isName = (claim: unknown): claim is string =>
  typeof claim === "string" &&
  /\S/.test(claim) &&
  [...claim].length <= MAX_NAME_LENGTH &&
  claim.isWellFormed() &&
  !/\p{Cc}/u.test(claim);

const isSeconds = (claim: unknown): claim is number => Number.isSafeInteger(claim) && (claim as number) > 0;

const isTooLong = (grant: unknown) => typeof grant === "string" && grant.length > MAX_GRANT_LENGTH;
