import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import type { Server } from "bun";
import type { Caller } from "../db.ts";
import { accepts } from "../http/accept.ts";
import { requestId } from "../http/answers.ts";
import { shortened } from "../log.ts";
import { Problem, problemFrom, unavailable } from "../problem.ts";
import { isSame } from "./server.ts";
import { closeSession, openSession, takeAnswers, touchSession } from "./sessions.ts";
import type { SseDoor } from "./sse.ts";
import { type OpenStream, openStream } from "./streams.ts";
import { toolsetsFrom } from "./toolsets.ts";

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

/** The streams of the legacy door that this process holds. */
export type SseStreams = ReturnType<typeof holdStreams>;

/**
 * The side of the legacy door that answers come on. A stream has a session, which is kept alive with it and closed when
 * it ends, whoever ended it (`ended` hears of that); what other processes have left for it is fetched when they say so.
 */
export function holdStreams(
  { holder, idle_seconds, stopping, log, listen }: SseDoor,
  heartbeat_seconds: number,
  server: () => Server<unknown> | null,
  ended: (session_id: string) => void,
) {
  const held = new Map<string, Held>();
  const closings = new Set<Promise<void>>();

  /** Why somebody gets no stream now. */
  function refusalOf(caller: Caller): Problem | undefined {
    if (stopping.aborted) return unavailable("The service is stopping; connect again.");
    const streams = [...held.values()].filter((other) => isSame(other.caller, caller)).length;
    return streams < MAX_STREAMS ? undefined : unavailable(`A user has at most ${MAX_STREAMS} streams; close some.`);
  }

  /** Opens a stream, which is the answer. Throws METHOD_NOT_ALLOWED, NOT_ACCEPTABLE, INVALID_INPUT, UNAVAILABLE. */
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
      ended(id);
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

  return {
    open,
    fetchAnswers,
    /** What was left while nobody listened. */
    fetchAll() {
      for (const id of held.keys()) void fetchAnswers(id);
    },
    /** Whether this process holds the stream of that session. */
    has: (session_id: string) => held.has(session_id),
    /** False where this process does not hold the stream. */
    send(session_id: string, message: JSONRPCMessage): boolean {
      const here = held.get(session_id);
      here?.stream.send(message);
      return here !== undefined;
    },
    count: () => held.size,
    /** Ends every stream, and waits up to a second for their sessions to be closed. */
    async closeAll() {
      for (const { stream } of [...held.values()]) stream.close();
      await Promise.race([Promise.all(closings), Bun.sleep(1000)]);
    },
  };
}
