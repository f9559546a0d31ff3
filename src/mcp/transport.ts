import type { Transport, TransportSendOptions } from "@modelcontextprotocol/sdk/shared/transport.js";
import {
  isJSONRPCRequest,
  type JSONRPCMessage,
  type JSONRPCNotification,
  type MessageExtraInfo,
  type RequestId,
} from "@modelcontextprotocol/sdk/types.js";
import type { Log } from "../log.ts";
import { internal, malformed, type ProblemBody } from "../problem.ts";

/** A JSON-RPC request as a client sent it. */
export interface Call {
  jsonrpc: "2.0";
  id: RequestId;
  method: string;
  params?: Record<string, unknown>;
}

export const INVALID_REQUEST = -32600;
export const METHOD_NOT_FOUND = -32601;
export const INVALID_PARAMS = -32602;
export const INTERNAL_ERROR = -32603;
export const PARSE_ERROR = -32700;
/** Of our own range: refused for a reason JSON-RPC has no number for; the problem in `data` says which. */
export const SERVER_ERROR = -32000;
export const RESOURCE_NOT_FOUND = -32002;

/** Not the SDK's McpError, which puts its own prefix in front of the message on the wire (1.32.2). */
export class RpcError extends Error {
  override readonly name = "RpcError";
  constructor(
    readonly code: number,
    readonly data: ProblemBody,
  ) {
    super(data.detail);
  }
}

/** A JSON-RPC error with the problem in its data. */
export const rpcError = <Id extends RequestId | null>(id: Id, code: number, data: ProblemBody) => ({
  jsonrpc: "2.0" as const,
  id,
  error: { code, message: data.detail, data },
});

const UNFIT_PARAMS = malformed("The params do not fit this method.");

/** Takes what a call tells its client before it answers: progress, log messages. */
export type Notify = (message: JSONRPCNotification) => void;

interface Pending<Context> {
  context: Context;
  request_id: string;
  /** Set once a handler of ours has taken the call; an error without our data is then our own bug. */
  is_taken: boolean;
  notify: Notify;
  settle(answer: JSONRPCMessage): void;
}

/**
 * One transport and one SDK Server for every client and request of the process: a Server made per request costs
 * 0.3 to 0.5 ms (its constructor builds a validator; SDK 1.32.2), this 0.02. Clients' ids collide, so each call gets
 * an inner id, under which its own context is found. Nothing of a client outlives its call. Clients' notifications
 * and responses never enter: on a shared server one client's `cancelled` would hit another's call.
 */
export class SharedTransport<Context extends { request_id: string }> implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: <T extends JSONRPCMessage>(message: T, extra?: MessageExtraInfo) => void;
  #next = 1; // not 0: the SDK ignores the cancelling of a falsy id
  readonly #pending = new Map<RequestId, Pending<Context>>();

  constructor(private readonly log: Log) {}

  async start() {}

  async close() {
    this.onclose?.();
  }

  /** The context of the call a handler runs for. */
  contextOf(inner_id: RequestId): Context {
    const pending = this.#pending.get(inner_id);
    if (!pending) throw new Error("a handler ran without a call");
    pending.is_taken = true;
    return pending.context;
  }

  /** What the Server sends: answers to calls, and what a call tells its client meanwhile. It asks clients nothing. */
  async send(message: JSONRPCMessage, { relatedRequestId }: TransportSendOptions = {}) {
    if ("method" in message) {
      const about = relatedRequestId === undefined ? undefined : this.#pending.get(relatedRequestId);
      if ("id" in message || !about)
        throw new Error("a shared server has nobody to ask, and tells those alone who call");
      about.notify(message);
      return;
    }
    if (message.id === undefined) return;
    const pending = this.#pending.get(message.id);
    if (!pending) return;
    if ("error" in message && message.error.data === undefined) {
      // The SDK's own texts (Zod's issues, a result that does not fit) stay inside.
      const problem = pending.is_taken ? internal(message.error.message) : UNFIT_PARAMS;
      const code = pending.is_taken ? INTERNAL_ERROR : INVALID_PARAMS;
      if (pending.is_taken) this.log("error", "mcp", { request_id: pending.request_id, cause: message.error.message });
      pending.settle(rpcError(message.id, code, problem.toBody(pending.request_id)));
    } else pending.settle(message);
  }

  /** Runs one call; undefined when its client went away first. `notify` takes what it tells before its answer. */
  call(
    message: Call,
    context: Context,
    signal: AbortSignal,
    notify: Notify = () => {},
  ): Promise<JSONRPCMessage | undefined> {
    const { request_id } = context;
    const inner = { ...message, id: this.#next++ };
    // The SDK drops what it does not take for a request without an answer.
    if (!isJSONRPCRequest(inner)) {
      return Promise.resolve(rpcError(message.id, INVALID_PARAMS, UNFIT_PARAMS.toBody(request_id)));
    }
    if (signal.aborted) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const end = (answer: JSONRPCMessage | undefined) => {
        signal.removeEventListener("abort", cancel);
        this.#pending.delete(inner.id);
        resolve(answer);
      };
      const cancel = () => {
        this.onmessage?.({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: inner.id } });
        end(undefined);
      };
      signal.addEventListener("abort", cancel, { once: true });
      const settle = (answer: JSONRPCMessage) => end({ ...answer, id: message.id } as JSONRPCMessage);
      this.#pending.set(inner.id, { context, request_id, is_taken: false, notify, settle });
      this.onmessage?.(inner);
    });
  }
}
