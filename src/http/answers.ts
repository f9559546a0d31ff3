import { Elysia, NotFoundError } from "elysia";
import type { Caller } from "../db.ts";
import { type Log, logProblem, milliseconds, shortened } from "../log.ts";
import { AUDITED, malformed, notFound, Problem, type ProblemCode, problemFrom } from "../problem.ts";
import { challengeFor } from "./challenge.ts";
import type { Metrics } from "./metrics.ts";
import type { OriginRules } from "./origins.ts";
import { callerOf } from "./signed_in.ts";

/** What is known of a request beside what it says. */
interface Known {
  id: string;
  route?: string;
  /** Headers its answer carries, whatever it turns out to be. */
  headers?: Record<string, string>;
  /** What it was refused with. */
  problem?: Problem;
  /** What to do once its token turns out to have been revoked. */
  whenRevoked?: (() => void) | undefined;
}

const requests = new WeakMap<Request, Known>();

/** The id a request is found by in the log. */
export const requestId = (request: Request) => requests.get(request)?.id ?? "";

/** Remembers the pattern a request was routed to, for the log. */
export function noteRoute(request: Request, route: string) {
  const known = requests.get(request);
  if (known) known.route = route;
}

/** Headers for the answer to a request, problems too. */
export function noteHeaders(request: Request, headers: Record<string, string>) {
  const known = requests.get(request);
  if (known) known.headers = { ...known.headers, ...headers };
}

/** Says what to do, once, when the database turns out to refuse a request's token as revoked. The door alone does. */
export function onceRevoked(request: Request, act: () => void) {
  const known = requests.get(request);
  if (known) known.whenRevoked = act;
}

/** On every answer that has not its own. A browser is to show nothing of it within another page, and to guess at nothing. */
const STANDARD_HEADERS = Object.entries({
  "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "strict-transport-security": "max-age=31536000; includeSubDomains",
  "x-frame-options": "DENY",
  "x-content-type-options": "nosniff",
  "referrer-policy": "strict-origin-when-cross-origin",
  "permissions-policy":
    "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), payment=(), usb=()",
  vary: "Origin",
  "cache-control": "no-store",
});

/**
 * Around every answer, errors and unknown paths too: its request id, its line in the log, its part of the metrics.
 * `origins` says what a browser is told; `allowed` gives the methods of a path, for 405.
 */
export function answers(log: Log, metrics: Metrics, origins: OriginRules, allowed: (path: string) => string[]) {
  return new Elysia({ name: "answers" })
    .wrap((handle) => async (request: Request) => {
      const started = performance.now();
      const known: Known = { id: crypto.randomUUID() };
      requests.set(request, known);
      // Elysia types the wrapped function by its own generics; it takes a Request and gives a Response.
      const response = await inOnePiece(await answered(handle as unknown as Handle, request, log));
      response.headers.set("x-request-id", known.id);
      const asked = Object.entries({ ...origins.corsHeaders(request), ...known.headers });
      for (const [name, value] of [...asked, ...STANDARD_HEADERS])
        if (!response.headers.has(name)) response.headers.set(name, value);
      const caller = callerOf(request);
      if (caller && known.problem)
        await auditDenied(caller, `${request.method} ${known.route ?? "unknown"}`, known.problem.code, known.id, log);
      const { method } = request;
      const { status } = response;
      const ms = milliseconds(started);
      metrics.answered({ method, route: known.route, status, ms });
      log("info", "request", {
        request_id: known.id,
        method,
        route: known.route ?? null,
        status,
        ms,
        user: caller && shortened(caller.sub),
        org: caller && shortened(caller.org),
      });
      return response;
    })
    .onError({ as: "global" }, ({ error, request, path }) => {
      if (!(error instanceof NotFoundError)) return problemResponse(request, error, log);
      const methods = allowed(path);
      if (methods.length === 0) return problemResponse(request, notFound("route"), log);
      const allow = { allow: methods.join(", "), ...origins.preflightHeaders(request, methods) };
      if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: allow });
      return problemResponse(
        request,
        new Problem("METHOD_NOT_ALLOWED", "This path does not take that method.", { headers: allow }),
        log,
      );
    });
}

/** Text, whole from the start; events are a text that is not. */
const WHOLE_TEXT = /^(application\/json|text\/(html|plain))/;
/** From 15,360 bytes on Bun sends a body by itself. */
const MAX_BYTES_WITH_HEADERS = 15_000;

/**
 * The same answer, sent in one piece. Where it was waited for, Bun (1.4.5, its pull request 41341) sends a large body
 * after the headers, and those in four pieces each: some seventy packets. What comes as a stream it sends together.
 */
async function inOnePiece(response: Response): Promise<Response> {
  if (!WHOLE_TEXT.test(response.headers.get("content-type") ?? "")) return response;
  const text = await response.text();
  const body = Buffer.byteLength(text) < MAX_BYTES_WITH_HEADERS ? text : streamOf(text);
  return new Response(body, { status: response.status, headers: response.headers });
}

const streamOf = (text: string) =>
  new ReadableStream({
    type: "direct",
    async pull(controller) {
      controller.write(text);
      // All of it taken, or what a slow reader has not read yet would not count as under way, and be cut at a stop.
      await controller.flush(true);
      controller.end();
    },
  });

/** Puts a refusal into the org's audit, if it is of those. Where that fails the refusal stands and the log has it. */
export async function auditDenied(caller: Caller, what: string, code: ProblemCode, request_id: string, log: Log) {
  if (!AUDITED.has(code)) return;
  await caller.denied(what, code).catch((error: unknown) => {
    log("error", "a refusal is not in the audit", { request_id, what, code, cause: problemFrom(error).code });
  });
}

type Handle = (request: Request) => Response | Promise<Response>;

async function answered(handle: Handle, request: Request, log: Log): Promise<Response> {
  // With a Host that makes no URL, Bun gives the bare path as the URL, and the router would look in the wrong place.
  if (!URL.canParse(request.url)) return problemResponse(request, malformed("The Host header is not readable."), log);
  try {
    const response = await handle(request);
    const caller = callerOf(request);
    // What was answered without asking the database (a problem, a list of tools) is not for a revoked token either.
    if (caller && !caller.has_entered && response.status !== 503)
      await caller
        .read(async () => {})
        .catch((error: unknown) => {
          if (problemFrom(error).status === 401) throw error;
        });
    return response;
  } catch (error) {
    return problemResponse(request, error, log); // or has passed by onError (1.4.30: a thrown null)
  }
}

/** Prints a problem for HTTP. Returned as a Response: Elysia's own status() from onError forgets its status (1.4.30). */
function problemResponse(request: Request, error: unknown, log: Log): Response {
  const problem = problemFrom(error);
  const request_id = requestId(request);
  const known = requests.get(request);
  if (known) known.problem = problem;
  if (problem.code === "TOKEN_REVOKED" && known?.whenRevoked) {
    known.whenRevoked();
    known.whenRevoked = undefined; // the same request may be refused twice
  }
  logProblem(log, problem, request_id);
  const body = request.method === "HEAD" ? null : JSON.stringify(problem.toBody(request_id));
  return new Response(body, {
    status: problem.status,
    headers: {
      "content-type": "application/problem+json",
      ...(problem.status === 401 && { "www-authenticate": challengeFor(request) }),
      ...problem.extras.headers,
    },
  });
}
