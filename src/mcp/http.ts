import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import type { Server } from "bun";
import { Elysia } from "elysia";
import type { Caller } from "../db.ts";
import { accepts } from "../http/accept.ts";
import { requestId } from "../http/answers.ts";
import { described } from "../http/described.ts";
import { readJson } from "../http/json_body.ts";
import { payFor } from "../http/limits.ts";
import { signedIn } from "../http/signed_in.ts";
import { malformed, Problem, problemFrom } from "../problem.ts";
import { checkEnvelope, classify, MAX_BATCH, NOT_A_MESSAGE } from "./messages.ts";
import { type CallContext, isSame, PROTOCOL_VERSIONS } from "./server.ts";
import type { SseSettings } from "./sse.ts";
import { type OpenStream, openStream } from "./streams.ts";
import { NO_TOOLSETS, toolsetsFrom } from "./toolsets.ts";
import { INVALID_REQUEST, PARSE_ERROR, rpcError, type SharedTransport, type Tell } from "./transport.ts";

type GetServer = () => Server<unknown> | null;

/** From this revision on a body is one message. */
const NO_BATCHES_FROM = "2025-06-18";

/**
 * Streamable HTTP without sessions: every POST stands alone and is answered as JSON, or as events where a call
 * tells of its progress. Nothing needs `initialize` first.
 * Scopes are judged per tool, so the route itself needs only a valid token.
 */
export function mcpRoutes(transport: SharedTransport<CallContext>, settings: SseSettings, server: GetServer) {
  /** An event stream in answer to a request, for what a call tells before its answer. */
  const stream = (request: Request) => {
    server()?.timeout(request, 0); // Bun would cut a silent one
    const drop = () => server()?.timeout(request, 1);
    return openStream({ heartbeat_seconds: settings.mcp_heartbeat_seconds, drop });
  };
  return new Elysia({ name: "mcp", normalize: false })
    .use(signedIn)
    .post("/mcp", ({ request, caller }) => answer(transport, request, caller, () => stream(request)), {
      parse: "none",
      detail: described({
        summary: "MCP, Streamable HTTP without sessions",
        tags: ["mcp"],
        "x-json": true,
        "x-answer": "application/json",
      }),
    });
}

async function answer(
  transport: SharedTransport<CallContext>,
  request: Request,
  caller: Caller,
  open: () => OpenStream,
): Promise<Response> {
  const request_id = requestId(request);
  const refuse = (problem: Problem, code = INVALID_REQUEST) =>
    Response.json(rpcError(null, code, problem.toBody(request_id)), {
      status: problem.status,
      headers: problem.extras.headers ?? {},
    });

  const version = request.headers.get("mcp-protocol-version");
  if (version !== null && !PROTOCOL_VERSIONS.includes(version))
    return refuse(malformed(`MCP-Protocol-Version must be one of ${PROTOCOL_VERSIONS.join(", ")}.`));
  const accept = request.headers.get("accept");
  if (!accepts(accept, "application/json") && !accepts(accept, "text/event-stream"))
    return refuse(new Problem("NOT_ACCEPTABLE", "The answer is application/json."));

  let body: unknown;
  try {
    body = await readJson(request);
  } catch (error) {
    return refuse(problemFrom(error), PARSE_ERROR);
  }
  const context: CallContext = { caller, request_id, toolsets: NO_TOOLSETS };
  try {
    context.toolsets = toolsetsFrom(request.url);
    checkEnvelope(body);
  } catch (error) {
    return refuse(problemFrom(error));
  }

  if (!Array.isArray(body)) {
    const message = classify(body);
    if (message.kind === "call") {
      context.args = message.call.params?.arguments;
      const { call } = message;
      // Named: to a client that takes anything, JSON is simpler.
      const takes_events = /text\/event-stream/i.test(accept ?? "") && accepts(accept, "text/event-stream");
      return jsonOrEvents(takes_events ? open : null, async (tell, gone) => {
        const answered = await transport.call(call, context, AbortSignal.any([request.signal, gone]), tell);
        if (context.refusal) throw context.refusal;
        return answered;
      });
    }
    if (message.kind === "bad") return refuse(NOT_A_MESSAGE);
    if (message.kind === "reply") transport.reply(message.reply, (asked) => isSame(asked.caller, caller));
    return new Response(null, { status: 202 });
  }

  if (body.length === 0 || body.length > MAX_BATCH || (version !== null && version >= NO_BATCHES_FROM))
    return refuse(malformed(`A batch has 1 to ${MAX_BATCH} messages, in revisions before ${NO_BATCHES_FROM}.`));
  try {
    payFor(request, body.length);
  } catch (error) {
    return refuse(problemFrom(error));
  }
  const answers = await Promise.all(
    body.map(classify).map(async (message) => {
      if (message.kind === "call") {
        const own = { ...context, args: message.call.params?.arguments };
        const answered = await transport.call(message.call, own, request.signal);
        if (own.refusal) context.refusal = own.refusal;
        return answered;
      }
      if (message.kind === "reply") transport.reply(message.reply, (asked) => isSame(asked.caller, caller));
      if (message.kind === "bad") return rpcError(message.id, INVALID_REQUEST, NOT_A_MESSAGE.toBody(request_id));
      return undefined;
    }),
  );
  if (context.refusal) throw context.refusal;
  const given = answers.filter((one) => one !== undefined);
  return given.length > 0 ? Response.json(given) : new Response(null, { status: 202 });
}

/**
 * The answer of a call as JSON; as an event stream once it says something before its answer, where the client takes
 * one (`open`). What is told to a client that does not is dropped. `gone` aborts when the client leaves the stream.
 */
function jsonOrEvents(
  open: (() => OpenStream) | null,
  call: (tell: Tell, gone: AbortSignal) => Promise<JSONRPCMessage | undefined>,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const gone = new AbortController();
    let stream: OpenStream | undefined;
    const tell: Tell = (message) => {
      if (!open) return false;
      if (!stream) {
        stream = open();
        stream.signal.addEventListener("abort", () => gone.abort(), { once: true });
        resolve(stream.response);
      }
      stream.send(message);
      return true;
    };
    call(tell, gone.signal).then(
      (answered) => {
        if (!stream) return resolve(answered ? Response.json(answered) : new Response(null, { status: 499 }));
        if (answered) stream.send(answered);
        stream.close();
      },
      (error: unknown) => {
        stream?.close(); // too late for a status
        reject(error);
      },
    );
  });
}
