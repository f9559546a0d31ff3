import { Elysia } from "elysia";
import { ROUTE_NEEDS, requireScopes } from "../auth/scopes.ts";
import { type Identity, type TokenSettings, tokenVerifier } from "../auth/tokens.ts";
import type { Database } from "../db.ts";
import { checkJson } from "../json.ts";
import { invalidInput, missingAuth, tokenRevoked } from "../problem.ts";
import { parse, presentOf } from "../schema.ts";
import { noteHeaders, noteRoute, onceRevoked, requestId } from "./answers.ts";
import { clientAddress, type TrustedProxies } from "./client_address.ts";
import { checkHeaders } from "./headers.ts";
import { checkUrl, readJson } from "./json_body.ts";
import {
  type Allowance,
  type LimitSettings,
  limitHeaders,
  NameMemory,
  networkOf,
  payBy,
  RateLimit,
  rateLimited,
} from "./limits.ts";
import type { RouteHooks } from "./openapi.ts";
import type { OriginRules } from "./origins.ts";
import { callerOf, signIn } from "./signed_in.ts";

export interface DoorSettings extends TokenSettings, LimitSettings {
  readonly trusted_proxies: TrustedProxies;
}

/**
 * The order every request is judged in: its size but for the body (431), its Host and Origin (403), its address or user's limit (429), its token (401),
 * its scope (403), its body, path and query (400, 413, 415, 422). `peerOf` gives the address a request came from.
 * Elysia parses a body before `derive`, and unknown routes never get there (1.4.30), so the token is checked in
 * onRequest and the scope in onParse, again in onTransform for requests that are not parsed.
 */
export async function door(
  settings: DoorSettings,
  database: Database,
  origins: OriginRules,
  peerOf: (request: Request) => string,
  schemasOf: SchemasOf,
) {
  const identify = await tokenVerifier(settings);
  const users = new RateLimit(settings);
  const strangers = new RateLimit(settings);
  /** Tokens the database has refused: they are refused and never let in by this, and a token is revoked for good. */
  const revoked = new NameMemory();

  const takeOfAddress = (request: Request) => {
    const address = clientAddress(peerOf(request), request.headers.get("x-forwarded-for"), settings.trusted_proxies);
    return strangers.take(networkOf(address));
  };
  /** Who has not signed in is limited by address; whoever has is not, so that a neighbour locks nobody out. */
  const limitStranger = (request: Request) => limit(request, takeOfAddress(request));

  /** A user is limited by name. What a token took before it was found revoked goes back: it counts for its address. */
  const limitUser = (request: Request, { org, sub, jti }: Identity) => {
    const user = JSON.stringify([org, sub]);
    let taken = 0;
    const take = (count: number, whole = count) => {
      limit(request, users.take(user, count, whole));
      taken += count;
    };
    take(1);
    payBy(request, (messages) => take(messages - 1, messages));
    onceRevoked(request, () => {
      users.give(user, taken);
      revoked.add(JSON.stringify([org, jti]));
      noteHeaders(request, limitHeaders(takeOfAddress(request)));
    });
  };

  return new Elysia({ name: "door" })
    .onRequest(async ({ request }) => {
      checkHeaders(request);
      origins.check(request);
      const path = new URL(request.url).pathname;
      if (!needsToken(path) || request.method === "OPTIONS") return limitStranger(request);
      const identity = await identify(request.headers.get("authorization")).catch((error: unknown) => {
        limitStranger(request);
        throw error;
      });
      if (revoked.has(JSON.stringify([identity.org, identity.jti]))) {
        limitStranger(request);
        throw tokenRevoked();
      }
      limitUser(request, identity);
      const app = appOf(path, request.headers.get("user-agent"));
      signIn(request, database.callerFor(identity, app, requestId(request)));
    })
    .onParse({ as: "global" }, async ({ request, route }) => {
      checkScope(request, route);
      if (route.startsWith("/mcp")) return null; // read in src/mcp/, which answers its failures as JSON-RPC
      if (schemasOf(methodOf(request), route).detail?.["x-upload"]) return null; // read as it comes, by the route
      const body = await readJson(request);
      checkJson(body);
      // Before Elysia does: it makes a text of what does not fit, and fails at {"toString": 1} (1.4.30).
      const { body: schema } = schemasOf(methodOf(request), route);
      return schema ? parse(body === null ? schema : presentOf(schema), body) : body;
    })
    .onTransform({ as: "global" }, ({ request, route }) => {
      checkScope(request, route);
      checkUrl(request.url);
      if (route.startsWith("/api") && !schemasOf(methodOf(request), route).query) refuseQuery(request.url);
    });
}

function limit(request: Request, allowance: Allowance) {
  noteHeaders(request, limitHeaders(allowance));
  if (!allowance.is_allowed) throw rateLimited(allowance);
}

/** The schemas a route was registered with. */
export type SchemasOf = (method: string, route: string) => Pick<RouteHooks, "body" | "query" | "detail">;

/** Elysia checks a query only where there is a schema for it. */
function refuseQuery(url: string) {
  const names = [...new URL(url).searchParams.keys()];
  if (names.length > 0)
    throw invalidInput(names.slice(0, 20).map((name) => ({ at: name.slice(0, 64), message: "is not known here" })));
}

const PUBLIC_PATHS = new Set(
  Object.entries(ROUTE_NEEDS)
    .filter(([, needs]) => needs === "public")
    .map(([route]) => route.split(" ")[1]),
);

/** Known or not, a path of ours is 401 without a token, but for the public ones. */
const needsToken = (path: string) => /^\/(api|mcp)(\/|$)/.test(path) && !PUBLIC_PATHS.has(path.replace(/\/$/, ""));

/** HEAD is judged as the GET it stands for. */
const methodOf = ({ method }: Request) => (method === "HEAD" ? "GET" : method);

function checkScope(request: Request, route: string) {
  noteRoute(request, route);
  const method = methodOf(request);
  const needs = ROUTE_NEEDS[`${method} ${route}`];
  if (needs === "public") return;
  const caller = callerOf(request);
  if (!caller) throw missingAuth();
  if (!needs) throw new Error(`${method} ${route} has no line in ROUTE_NEEDS`);
  requireScopes(caller.scopes, needs);
}

/** Names of HTTP libraries say nothing about the client that uses them. */
const LIBRARIES = /^(node|bun|deno|undici|axios|got|python-httpx|python-requests|aiohttp|go-http-client|curl|mozilla)$/;

/** The app a request came through: `rest`, or for MCP the product its User-Agent names, `mcp` where it names none. */
function appOf(path: string, user_agent: string | null): string {
  if (!path.startsWith("/mcp")) return "rest";
  const [product = ""] = (user_agent ?? "").toLowerCase().split(/[\s/]/, 1);
  return /^[a-z0-9._-]{1,64}$/.test(product) && !LIBRARIES.test(product) ? product : "mcp";
}
