import { jwt } from "@elysiajs/jwt";
import { Elysia } from "elysia";
import { errors, jwtVerify } from "jose";
import { missingAuth, Problem, type ProblemCode } from "../problem.ts";
import { grantsFrom } from "./grants.ts";

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

export interface TokenSettings {
  readonly jwt_secret: string;
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

/** Makes a token (HS256). Throws nothing; the caller has checked its input. */
export async function mintToken(settings: TokenSettings, { org, sub, scopes, grants = [], days }: NewToken) {
  const signer = new Elysia().use(
    jwt({
      name: "token",
      secret: settings.jwt_secret,
      iss: settings.jwt_issuer,
      aud: settings.jwt_audience,
      exp: `${Math.floor(days * 86_400)}s`,
    }),
  ).decorator.token;
  const jti = crypto.randomUUID();
  const token = await signer.sign({ sub, org_id: org, jti, scope: scopes.join(" "), grants: [...grants] });
  return { token, jti };
}

/**
 * A function from an Authorization header to the identity behind it. It throws a 401 problem whose code says which
 * check failed. Only the configured key, algorithm, issuer and audience count; nothing in the token's header chooses.
 */
export function tokenVerifier(settings: TokenSettings) {
  const key = new TextEncoder().encode(settings.jwt_secret);
  const checks = {
    algorithms: ["HS256"],
    issuer: settings.jwt_issuer,
    audience: settings.jwt_audience,
    requiredClaims: ["sub", "org_id", "jti", "iss", "aud", "iat", "exp"],
    clockTolerance: 0,
  };

  return async (authorization: string | null): Promise<Identity> => {
    const token = bearerToken(authorization);
    const { payload } = await jwtVerify(token, key, checks).catch((error: unknown) => {
      throw new Problem(codeOf(error), "The token was not accepted.", { cause: error });
    });
    return identityFrom(payload, settings.jwt_max_lifetime_seconds);
  };
}

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
