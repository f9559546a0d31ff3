import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import type { Caller } from "../db.ts";
import { requestId } from "../http/answers.ts";
import { readJson } from "../http/json_body.ts";
import { payFor } from "../http/limits.ts";
import { causeOf } from "../log.ts";
import { Problem, problemFrom, unavailable } from "../problem.ts";
import { Calls, MAX_TAKEN } from "./calls.ts";
import { checkEnvelope, classify, isId, MAX_BATCH, NOT_A_MESSAGE } from "./messages.ts";
import { type CallContext, isSame } from "./server.ts";
import { cancelElsewhere, keepLogLevel, leaveAnswers, type Session, sessionOf } from "./sessions.ts";
import type { SseDoor } from "./sse.ts";
import type { SseStreams } from "./sse_streams.ts";
import type { Call, SharedTransport } from "./transport.ts";

/** How long an answer for another process's stream is tried to be left there while the database is away. */
const LEAVE_SECONDS = 30;

/**
 * The side of the legacy door that messages are posted to. A message is let in by its own token, and finds a session
 * only if the same user has opened it. It is worked on where it arrives; its answer goes onto the stream, or to the
 * process that holds it.
 */
export function takeMessages(
  { holder, idle_seconds, stopping, log, listen }: SseDoor,
  transport: SharedTransport<CallContext>,
  streams: SseStreams,
) {
  /** Of each session, the calls that this process has taken and not answered. */
  const callsOf = new Map<string, Calls>();

  /**
   * Takes the messages of a body for the session that the URL names; `named` is the client that its path names. Throws
   * MISSING_SESSION_ID, INVALID_SESSION_ID, SESSION_BINDING_INVALID, UNAVAILABLE, and for what is no message.
   */
  async function take(request: Request, caller: Caller, named?: string): Promise<Response> {
    const session_id = new URL(request.url).searchParams.get("session_id");
    if (!session_id) throw new Problem("MISSING_SESSION_ID", "Post to the address that the stream's first event gave.");
    if (!/^[0-9a-f]{32}$/.test(session_id)) throw new Problem("INVALID_SESSION_ID", "That is not a session's id.");
    const session = await sessionOf(caller, session_id, { holder, idle_seconds });
    // Unknown, ended, somebody else's and another client's are one answer.
    const is_over = () => session?.holder === holder && !streams.has(session_id);
    if (!session || is_over() || (named !== undefined && named !== session.client)) throw notYours();
    if (session.holder !== holder) await listen(); // to hear of cancelled calls

    const body = await readJson(request);
    if (is_over()) throw notYours(); // ended while the body was on its way
    checkEnvelope(body);
    const messages = (Array.isArray(body) ? body : [body]).map(classify);
    if (messages.length === 0 || messages.length > MAX_BATCH || messages.some(({ kind }) => kind === "bad"))
      throw NOT_A_MESSAGE;
    const calls = messages.filter(({ kind }) => kind === "call").length;
    if (stopping.aborted && calls > 0) throw unavailable("The service is stopping; connect again.");
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
  function run(session_id: string, session: Session, caller: Caller, call: Call, request_id: string) {
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
      if (streams.send(session_id, message)) return;
      if (session.holder !== holder) await calls.outbox.put(caller, message);
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

  return {
    take,
    /** Ends a call of a session's, if it runs here. */
    cancel: (session_id: string, call: string | number) => callsOf.get(session_id)?.cancel(call),
    /** Ends every call of a session's that runs here. */
    cancelAll: (session_id: string) => callsOf.get(session_id)?.cancelAll(),
    /** Whether any call runs here. */
    areRunning: () => callsOf.size > 0,
  };
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

const notYours = () => new Problem("SESSION_BINDING_INVALID", "There is no such session of yours.");
