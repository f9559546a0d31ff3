import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import type { Server } from "bun";
import { Elysia, t } from "elysia";
import type { Caller, Database } from "../db.ts";
import { accepts } from "../http/accept.ts";
import { requestId } from "../http/answers.ts";
import { described } from "../http/described.ts";
import { readJson } from "../http/json_body.ts";
import { payFor } from "../http/limits.ts";
import { signedIn } from "../http/signed_in.ts";
import { causeOf, type Log, shortened } from "../log.ts";
import { invalidInput, Problem, problemFrom, unavailable } from "../problem.ts";
import { Calls, MAX_TAKEN } from "./calls.ts";
import { checkEnvelope, classify, isId, MAX_BATCH, NOT_A_MESSAGE } from "./messages.ts";
import { type CallContext, isSame } from "./server.ts";
import {
  CHANNEL,
  cancelElsewhere,
  closeSession,
  keepLogLevel,
  leaveAnswers,
  listenerName,
  openSession,
  type Session,
  sessionOf,
  takeAnswers,
  touchSession,
  type Wake,
} from "./sessions.ts";
import { type OpenStream, openStream } from "./streams.ts";
import { toolsetsFrom } from "./toolsets.ts";
import type { SharedTransport } from "./transport.ts";

/** The times of the legacy door. */
export interface SseSettings {
  /** How long a session may live without a sign of its stream. */
  readonly mcp_session_idle_seconds: number;
  /** Between two comment lines on a silent stream. */
  readonly mcp_heartbeat_seconds: number;
}

/** A stream this process holds. */
interface Held {
  readonly stream: OpenStream;
  /** Who opened it: its answers are fetched in this name. */
  readonly caller: Caller;
  /** Answers that were fetched and sent, and still have to be removed. */
  sent: string[];
  is_fetching: boolean;
  /** A wake-up came while it was fetching. */
  is_woken: boolean;
}

/** Most streams of one user that a process holds: each takes 40 kB, and a look into the database a minute. */
const MAX_STREAMS = 100;

/** How long an answer for another process's stream is tried to be left there while the database is away. */
const LEAVE_SECONDS = 30;

/**
 * The legacy door, HTTP with server-sent events (MCP 2024-11-05): a stream that answers come on, and a route that
 * messages are posted to. A message is let in by its own token, and finds a session only if the same user has opened it.
 * It is worked on where it arrives; its answer goes to the process that holds the stream, through a row and a wake-up.
 * `server` is there once the service listens.
 */
export function legacyDoor(
  transport: SharedTransport<CallContext>,
  settings: SseSettings,
  database: Database,
  log: Log,
  server: () => Server<unknown> | null,
) {
  const holder = crypto.randomUUID();
  const held = new Map<string, Held>();
  const callsOf = new Map<string, Calls>();
  const closings = new Set<Promise<void>>();
  let is_stopping = false;
  const { mcp_session_idle_seconds: idle_seconds, mcp_heartbeat_seconds: heartbeat_seconds } = settings;

  // Not before the first legacy client: a service without any needs no connection for it.
  let listening: Promise<unknown> | undefined;
  const listen = () => {
    listening ??= database
      .hear(CHANNEL, {
        as: listenerName(holder),
        heard: (payload) => hear(wakeFrom(payload)),
        // What was left while nobody listened.
        connected: () => {
          for (const id of held.keys()) void fetchAnswers(id);
        },
      })
      .catch((error: unknown) => {
        listening = undefined; // the next client tries again
        throw error;
      });
    return listening;
  };

  function hear(wake: Wake | null) {
    if (wake?.kind === "answer") void fetchAnswers(wake.session_id);
    if (wake?.kind === "cancel") callsOf.get(wake.session_id)?.cancel(wake.call);
    if (wake?.kind === "end") callsOf.get(wake.session_id)?.cancelAll();
  }

  /** Why somebody gets no stream now. */
  function refusalOf(caller: Caller): Problem | undefined {
    if (is_stopping) return unavailable("The service is stopping; connect again.");
    const streams = [...held.values()].filter((other) => isSame(other.caller, caller)).length;
    return streams < MAX_STREAMS ? undefined : unavailable(`A user has at most ${MAX_STREAMS} streams; close some.`);
  }

  async function open(request: Request, caller: Caller, client: string): Promise<Response> {
    if (request.method !== "GET")
      throw new Problem("METHOD_NOT_ALLOWED", "A stream is opened by GET.", { headers: { allow: "GET" } });
    if (!accepts(request.headers.get("accept"), "text/event-stream"))
      throw new Problem("NOT_ACCEPTABLE", "The answer is text/event-stream.");
    const unwanted = refusalOf(caller);
    if (unwanted) throw unwanted;
    const toolsets = toolsetsFrom(request.url);
    await listen();
    const id = await openSession(caller, { client, toolsets, holder }, idle_seconds);
    const refusal = refusalOf(caller); // many may have come meanwhile
    if (refusal) {
      await closeSession(caller, id);
      throw refusal;
    }
    server()?.timeout(request, 0); // Bun would cut a silent stream
    const stream = openStream({
      endpoint: `/mcp/messages/?session_id=${id}`,
      heartbeat_seconds,
      drop: () => server()?.timeout(request, 1),
    });
    held.set(id, { stream, caller, sent: [], is_fetching: false, is_woken: false });
    const who = { request_id: requestId(request), client, user: shortened(caller.sub), org: shortened(caller.org) };
    log("info", "stream opened", who);

    const touch = async () => {
      try {
        if (!(await touchSession(caller, id))) stream.close();
        else await fetchAnswers(id); // a wake-up may have been lost
      } catch (error) {
        // A revoked token ends the stream it opened; a database that is away does not.
        if (problemFrom(error).status === 401) stream.close();
      }
    };
    const touching = setInterval(() => void touch(), Math.max(1, Math.min(60, idle_seconds / 3)) * 1000);
    const end = () => {
      clearInterval(touching);
      callsOf.get(id)?.cancelAll();
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

  /** Sends what other processes have left for a stream held here, until nothing is left. */
  async function fetchAnswers(id: string): Promise<void> {
    const session = held.get(id);
    if (!session) return;
    session.is_woken = true;
    if (session.is_fetching) return;
    session.is_fetching = true;
    try {
      while (session.is_woken || session.sent.length > 0) {
        session.is_woken = false;
        const left = await takeAnswers(session.caller, id, session.sent);
        // One that could not be removed, since nobody knows whether the last transaction was committed, comes again.
        const fresh = left.filter((answer) => !session.sent.includes(answer.id));
        session.sent = left.map((answer) => answer.id);
        for (const { body } of fresh) session.stream.send(JSON.parse(body));
      }
    } catch (error) {
      const problem = problemFrom(error);
      if (problem.status === 401) session.stream.close();
      else {
        log("warn", "answers wait for a stream", { cause: problem.code });
        setTimeout(() => void fetchAnswers(id), 1000);
      }
    } finally {
      session.is_fetching = false;
    }
  }

  async function take(request: Request, caller: Caller, named?: string): Promise<Response> {
    const session_id = new URL(request.url).searchParams.get("session_id");
    if (!session_id) throw new Problem("MISSING_SESSION_ID", "Post to the address that the stream's first event gave.");
    if (!/^[0-9a-f]{32}$/.test(session_id)) throw new Problem("INVALID_SESSION_ID", "That is not a session's id.");
    const session = await sessionOf(caller, session_id, { holder, idle_seconds });
    // Unknown, ended, somebody else's and another client's are one answer.
    const is_over = () => session?.holder === holder && !held.has(session_id);
    if (!session || is_over() || (named !== undefined && named !== session.client)) throw notYours();
    if (session.holder !== holder) await listen(); // to hear of cancelled calls

    const body = await readJson(request);
    if (is_over()) throw notYours(); // ended while the body was on its way
    checkEnvelope(body);
    const messages = (Array.isArray(body) ? body : [body]).map(classify);
    if (messages.length === 0 || messages.length > MAX_BATCH || messages.some(({ kind }) => kind === "bad"))
      throw NOT_A_MESSAGE;
    const calls = messages.filter(({ kind }) => kind === "call").length;
    if (is_stopping && calls > 0) throw unavailable("The service is stopping; connect again.");
    if ((callsOf.get(session_id)?.count ?? 0) + calls > MAX_TAKEN)
      throw unavailable(`${MAX_TAKEN} calls of this stream have no answer yet; wait for some.`);
    payFor(request, messages.length);
    for (const message of messages) {
      if (message.kind === "call")
        run(session_id, session, caller.through(session.client), message.call, requestId(request));
      if (message.kind === "reply") transport.reply(message.reply, (asked) => isSame(asked.caller, caller));
      if (message.kind === "note" && message.method === "notifications/cancelled") {
        const { requestId: cancelled } = message.params;
        if (isId(cancelled) && !callsOf.get(session_id)?.cancel(cancelled))
          await cancelElsewhere(caller, session_id, cancelled);
      }
    }
    return new Response("Accepted", { status: 202 });
  }

  /** Runs a call in its turn and sends its answer; the client has been told 202 by then. */
  function run(
    session_id: string,
    session: Session,
    caller: Caller,
    call: Parameters<typeof transport.call>[0],
    request_id: string,
  ) {
    const calls =
      callsOf.get(session_id) ??
      new Calls(
        (by, answers) => leave(by, session_id, answers),
        () => callsOf.delete(session_id),
      );
    callsOf.set(session_id, calls);
    const context: CallContext = {
      caller,
      request_id,
      toolsets: session.toolsets,
      log_level: session.log_level,
      keepLogLevel: (level) => keepLogLevel(caller, session_id, level),
      args: call.params?.arguments,
    };
    const send = async (message: JSONRPCMessage) => {
      const here = held.get(session_id);
      if (here) here.stream.send(message);
      else if (session.holder !== holder) await calls.outbox.put(caller, message);
    };
    calls.take(call.id, async (signal) => {
      try {
        // The outbox keeps the order, so what it tells meanwhile need not be waited for.
        const answer = await transport.call(call, context, signal, (said) => {
          void send(said).catch(() => {}); // then its answer will not go either, and that is told
          return true;
        });
        if (answer) await send(answer);
      } catch (error) {
        log("error", "problem", { request_id, ...causeOf(error) });
      }
    });
  }

  /** Leaves answers for the process that holds the stream, for a while even if the database is away. */
  async function leave(caller: Caller, session_id: string, answers: JSONRPCMessage[]) {
    for (const deadline = Date.now() + LEAVE_SECONDS * 1000; ; await Bun.sleep(250)) {
      try {
        return await leaveAnswers(caller, session_id, answers);
      } catch (error) {
        if (problemFrom(error).status !== 503 || Date.now() > deadline) throw error;
      }
    }
  }

  const routes = new Elysia({ name: "sse", normalize: false })
    .use(signedIn)
    .get(
      "/mcp/:client/sse/:user",
      ({ request, caller, params }) => open(request, self(caller, params.user), appFrom(params.client)),
      {
        params: t.Object({ client: t.String(), user: t.String() }),
        detail: described({
          summary: "MCP, legacy stream (HTTP with SSE)",
          tags: ["mcp"],
          "x-stream": true,
          "x-answer": "text/event-stream",
        }),
      },
    )
    .post("/mcp/messages", ({ request, caller }) => take(request, caller), {
      parse: "none",
      detail: described({
        summary: "MCP, a message to a legacy stream",
        tags: ["mcp"],
        "x-json": true,
        "x-status": 202,
      }),
    })
    .post(
      "/mcp/:client/sse/:user/messages",
      ({ request, caller, params }) => take(request, self(caller, params.user), appFrom(params.client)),
      {
        parse: "none",
        params: t.Object({ client: t.String(), user: t.String() }),
        detail: described({
          summary: "MCP, a message to a legacy stream",
          tags: ["mcp"],
          "x-json": true,
          "x-status": 202,
        }),
      },
    );

  return {
    routes,
    /** How many streams this process holds. */
    count: () => held.size,
    /** Takes no more calls, lets the running ones end for up to the seconds, then ends every stream and its session. */
    async drain(seconds: number) {
      is_stopping = true;
      const deadline = Date.now() + seconds * 1000;
      while (callsOf.size > 0 && Date.now() < deadline) await Bun.sleep(10);
      for (const { stream } of [...held.values()]) stream.close();
      await Promise.race([Promise.all(closings), Bun.sleep(1000)]);
    },
  };
}

function wakeFrom(payload: string): Wake | null {
  try {
    return JSON.parse(payload) as Wake;
  } catch {
    return null; // anybody who may connect to the database can send one
  }
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
