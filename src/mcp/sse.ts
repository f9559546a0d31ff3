import type { RequestId } from "@modelcontextprotocol/sdk/types.js";
import type { Server } from "bun";
import { Elysia, t } from "elysia";
import type { Caller } from "../db.ts";
import { requestId } from "../http/answers.ts";
import { readJson } from "../http/json_body.ts";
import { payFor } from "../http/limits.ts";
import { signedIn } from "../http/signed_in.ts";
import { causeOf, type Log, shortened } from "../log.ts";
import { invalidInput, Problem, problemFrom, unavailable } from "../problem.ts";
import { checkEnvelope, classify, isId, MAX_BATCH, NOT_A_MESSAGE } from "./messages.ts";
import type { CallContext } from "./server.ts";
import { clientOf, closeSession, openSession, touchSession } from "./sessions.ts";
import { type OpenStream, openStream } from "./streams.ts";
import { type Toolset, toolsetsFrom } from "./toolsets.ts";
import type { SharedTransport } from "./transport.ts";

/** The times of the legacy door. */
export interface SseSettings {
  /** How long a session may live without a sign of its stream. */
  readonly mcp_session_idle_seconds: number;
  /** Between two comment lines on a silent stream. */
  readonly mcp_heartbeat_seconds: number;
}

/** Calls of one stream that work at once: their 202 comes before their answer, so nothing else holds a client back. */
const MAX_AT_ONCE = 4;
/** Those and the ones that wait for their turn. */
const MAX_TAKEN = 128;

/** A stream this process holds, and the calls that run for it. */
interface Held {
  stream: OpenStream;
  toolsets: ReadonlySet<Toolset>;
  /** By the client's ids, to cancel them: calls that were taken and have not been answered. */
  taken: Map<RequestId, AbortController>;
  working: number;
  /** Starts of calls that wait for their turn, oldest first. */
  waiting: (() => void)[];
}

/**
 * The legacy door, HTTP with server-sent events (MCP 2024-11-05): a stream that answers come on, and a route that
 * messages are posted to. A message is let in by its own token, and finds a session only if the same user has opened it.
 * `server` is there once the service listens.
 */
export function legacyDoor(
  transport: SharedTransport<CallContext>,
  settings: SseSettings,
  log: Log,
  server: () => Server<unknown> | null,
) {
  const held = new Map<string, Held>();
  const closings = new Set<Promise<void>>();
  let is_stopping = false;
  const { mcp_session_idle_seconds: idle, mcp_heartbeat_seconds: heartbeat_seconds } = settings;

  async function open(request: Request, caller: Caller, client: string): Promise<Response> {
    if (request.method !== "GET")
      throw new Problem("METHOD_NOT_ALLOWED", "A stream is opened by GET.", { headers: { allow: "GET" } });
    if (!/text\/event-stream|text\/\*|\*\/\*/i.test(request.headers.get("accept") ?? "*/*"))
      throw new Problem("NOT_ACCEPTABLE", "The answer is text/event-stream.");
    if (is_stopping) throw unavailable("The service is stopping; connect again.");
    const toolsets = toolsetsFrom(request.url);
    const id = await openSession(caller, client, idle);
    if (is_stopping) {
      await closeSession(caller, id);
      throw unavailable("The service is stopping; connect again.");
    }
    server()?.timeout(request, 0); // Bun would cut a silent stream
    const stream = openStream({
      endpoint: `/mcp/messages/?session_id=${id}`,
      heartbeat_seconds,
      drop: () => server()?.timeout(request, 1),
    });
    held.set(id, { stream, toolsets, taken: new Map(), working: 0, waiting: [] });
    const who = { request_id: requestId(request), client, user: shortened(caller.sub), org: shortened(caller.org) };
    log("info", "stream opened", who);

    const touch = () =>
      touchSession(caller, id).then(
        (is_alive) => is_alive || stream.close(),
        // A revoked token ends the stream it opened; a database that is away does not.
        (error: unknown) => problemFrom(error).status === 401 && stream.close(),
      );
    const touching = setInterval(() => void touch(), Math.max(1, Math.min(60, idle / 3)) * 1000);
    const end = () => {
      clearInterval(touching);
      for (const call of held.get(id)?.taken.values() ?? []) call.abort();
      held.delete(id);
      log("info", "stream ended", who);
      const closing = closeSession(caller, id)
        .catch((error: unknown) =>
          log("warn", "a session was not closed and will run out", { ...who, cause: problemFrom(error).code }),
        )
        .finally(() => closings.delete(closing));
      closings.add(closing);
    };
    stream.signal.addEventListener("abort", end, { once: true });
    // The client may have gone while the session was being written.
    if (request.signal.aborted) stream.close();
    request.signal.addEventListener("abort", () => stream.close(), { once: true });
    return stream.response;
  }

  async function take(request: Request, caller: Caller, named?: string): Promise<Response> {
    const session_id = new URL(request.url).searchParams.get("session_id");
    if (!session_id) throw new Problem("MISSING_SESSION_ID", "Post to the address that the stream's first event gave.");
    if (!/^[0-9a-f]{32}$/.test(session_id)) throw new Problem("INVALID_SESSION_ID", "That is not a session's id.");
    const client = await clientOf(caller, session_id, idle);
    const session = held.get(session_id);
    // Unknown, ended, somebody else's and another client's are one answer.
    if (client === null || !session || (named !== undefined && named !== client)) throw notYours();

    const body = await readJson(request);
    if (held.get(session_id) !== session) throw notYours(); // ended while the body was on its way
    checkEnvelope(body);
    const messages = (Array.isArray(body) ? body : [body]).map(classify);
    if (messages.length === 0 || messages.length > MAX_BATCH || messages.some(({ kind }) => kind === "bad"))
      throw NOT_A_MESSAGE;
    const calls = messages.filter(({ kind }) => kind === "call").length;
    if (is_stopping && calls > 0) throw unavailable("The service is stopping; connect again.");
    if (session.working + session.waiting.length + calls > MAX_TAKEN)
      throw unavailable(`${MAX_TAKEN} calls of this stream have no answer yet; wait for some.`);
    payFor(request, messages.length);
    for (const message of messages) {
      if (message.kind === "call") run(session, caller.through(client), message.call, requestId(request));
      if (message.kind === "note" && message.method === "notifications/cancelled") {
        const { requestId: cancelled } = message.params;
        if (isId(cancelled)) session.taken.get(cancelled)?.abort();
      }
    }
    return new Response("Accepted", { status: 202 });
  }

  /** Runs a call in its turn and sends its answer; the client has been told 202 by then. */
  function run(session: Held, caller: Caller, call: Parameters<typeof transport.call>[0], request_id: string) {
    const cancel = new AbortController();
    session.taken.set(call.id, cancel);
    const context: CallContext = { caller, request_id, toolsets: session.toolsets, args: call.params?.arguments };
    const start = () => {
      session.working++;
      transport
        .call(call, context, cancel.signal)
        .then((answer) => answer && session.stream.send(answer))
        .catch((error: unknown) => log("error", "problem", { request_id, ...causeOf(error) }))
        .finally(() => {
          if (session.taken.get(call.id) === cancel) session.taken.delete(call.id);
          session.working--;
          session.waiting.shift()?.();
        });
    };
    if (session.working < MAX_AT_ONCE) start();
    else session.waiting.push(start);
  }

  const routes = new Elysia({ name: "sse", normalize: false })
    .use(signedIn)
    .get(
      "/mcp/:client/sse/:user",
      ({ request, caller, params }) => open(request, self(caller, params.user), appFrom(params.client)),
      {
        params: t.Object({ client: t.String(), user: t.String() }),
        detail: { summary: "MCP, legacy stream (HTTP with SSE)", tags: ["mcp"] },
      },
    )
    .post("/mcp/messages", ({ request, caller }) => take(request, caller), {
      parse: "none",
      detail: { summary: "MCP, a message to a legacy stream", tags: ["mcp"] },
    })
    .post(
      "/mcp/:client/sse/:user/messages",
      ({ request, caller, params }) => take(request, self(caller, params.user), appFrom(params.client)),
      {
        parse: "none",
        params: t.Object({ client: t.String(), user: t.String() }),
        detail: { summary: "MCP, a message to a legacy stream", tags: ["mcp"] },
      },
    );

  return {
    routes,
    /** Takes no more calls, lets the running ones end for up to the seconds, then ends every stream and its session. */
    async drain(seconds: number) {
      is_stopping = true;
      const deadline = Date.now() + seconds * 1000;
      while ([...held.values()].some(({ working }) => working > 0) && Date.now() < deadline) await Bun.sleep(10);
      for (const { stream } of [...held.values()]) stream.close();
      await Promise.race([Promise.all(closings), Bun.sleep(1000)]);
    },
  };
}

const notYours = () => new Problem("SESSION_BINDING_INVALID", "There is no such session of yours.");

/** `{user}` says who one is, or `me`; another's name is answered like a bad token. */
function self(caller: Caller, user: string): Caller {
  if (user === "me" || user === caller.sub) return caller;
  throw new Problem("INVALID_TOKEN", "The token was not accepted.", { cause: "the path names another user" });
}

function appFrom(client: string): string {
  const name = client.toLowerCase();
  if (/^[a-z0-9._-]{1,64}$/.test(name)) return name;
  throw invalidInput([{ at: "client", message: "must be 1 to 64 letters, digits, dots, underscores and hyphens" }]);
}
