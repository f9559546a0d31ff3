import type { Server } from "bun";
import { Elysia, t } from "elysia";
import type { Caller, Database } from "../db.ts";
import { described } from "../http/described.ts";
import { signedIn } from "../http/signed_in.ts";
import type { Log } from "../log.ts";
import { invalidInput, Problem } from "../problem.ts";
import type { CallContext } from "./server.ts";
import { CHANNEL, listenerName, type Wake } from "./sessions.ts";
import { takeMessages } from "./sse_messages.ts";
import { holdStreams } from "./sse_streams.ts";
import type { SharedTransport } from "./transport.ts";

/** The times of the legacy door. */
export interface SseSettings {
  /** How long a session may live without a sign of its stream. */
  readonly mcp_session_idle_seconds: number;
  /** Between two comment lines on a silent stream. */
  readonly mcp_heartbeat_seconds: number;
}

/** What both sides of the legacy door know of it. */
export interface SseDoor {
  /** This process, among those that hold streams. */
  readonly holder: string;
  /** How long a session may live without a sign of its stream. */
  readonly idle_seconds: number;
  /** Aborts when the service stops: no stream is opened and no call taken any more. */
  readonly stopping: AbortSignal;
  readonly log: Log;
  /** Listens to other processes from now on. Throws UNAVAILABLE. */
  listen(): Promise<unknown>;
}

/**
 * The legacy door, HTTP with server-sent events (MCP 2024-11-05): a stream that answers come on (sse_streams.ts), and a
 * route that messages are posted to (sse_messages.ts). Where they arrive at different processes, the answer goes to the
 * one that holds the stream, through a row and a wake-up. `server` is there once the service listens.
 */
export function legacyDoor(
  transport: SharedTransport<CallContext>,
  settings: SseSettings,
  database: Database,
  log: Log,
  server: () => Server<unknown> | null,
) {
  const holder = crypto.randomUUID();
  const stopping = new AbortController();

  // Not before the first legacy client: a service without any needs no connection for it.
  let listening: Promise<unknown> | undefined;
  const listen = () => {
    listening ??= database
      .hear(CHANNEL, {
        as: listenerName(holder),
        heard: (payload) => hear(wakeFrom(payload)),
        connected: () => streams.fetchAll(),
      })
      .catch((error: unknown) => {
        listening = undefined; // the next client tries again
        throw error;
      });
    return listening;
  };

  function hear(wake: Wake | null) {
    if (wake?.kind === "answer") void streams.fetchAnswers(wake.session_id);
    if (wake?.kind === "cancel") messages.cancel(wake.session_id, wake.call);
    if (wake?.kind === "end") messages.cancelAll(wake.session_id);
  }

  const { mcp_session_idle_seconds: idle_seconds, mcp_heartbeat_seconds: heartbeat_seconds } = settings;
  const door: SseDoor = { holder, idle_seconds, stopping: stopping.signal, log, listen };
  const streams = holdStreams(door, heartbeat_seconds, server, (session_id) => messages.cancelAll(session_id));
  const messages = takeMessages(door, transport, streams);

  const routes = new Elysia({ name: "sse", normalize: false })
    .use(signedIn)
    .get(
      "/mcp/:client/sse/:user",
      ({ request, caller, params }) => streams.open(request, self(caller, params.user), appFrom(params.client)),
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
    .post("/mcp/messages", ({ request, caller }) => messages.take(request, caller), {
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
      ({ request, caller, params }) => messages.take(request, self(caller, params.user), appFrom(params.client)),
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
    count: streams.count,
    /** Takes no more calls, lets the running ones end for up to the seconds, then ends every stream and its session. */
    async drain(seconds: number) {
      stopping.abort();
      const deadline = Date.now() + seconds * 1000;
      while (messages.areRunning() && Date.now() < deadline) await Bun.sleep(10);
      await streams.closeAll();
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
