import type { Transport, TransportSendOptions } from "@modelcontextprotocol/sdk/shared/transport.js";
import {
  isJSONRPCRequest,
  type JSONRPCMessage,
  type JSONRPCNotification,
  type JSONRPCRequest,
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

/** Takes what a call tells or asks its client before it answers. False where there is no way to that client. */
export type Tell = (message: JSONRPCNotification | JSONRPCRequest) => boolean;

/** A client's answer to what it was asked. */
export type Reply = JSONRPCMessage & { id: RequestId };

interface Pending<Context> {
  context: Context;
  request_id: string;
  /** Set once a handler of ours has taken the call; an error without our data is then our own bug. */
  is_taken: boolean;
  tell: Tell;
  settle(answer: JSONRPCMessage): void;
}

/**
 * One transport and one SDK Server for every client and request of the process: a Server made per request costs
 * 0.3 to 0.5 ms (its constructor builds a validator; SDK 1.32.2), this 0.02. Clients' ids collide, so each call gets
 * an inner id, under which its own context is found. Nothing of a client outlives its call. Clients' notifications
 * never enter: on a shared server one client's `cancelled` would hit another's call. Their replies do, from the caller
 * that was asked alone: the ids of what is asked are one counter, so anybody can guess them.
 */
export class SharedTransport<Context extends { request_id: string }> implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: <T extends JSONRPCMessage>(message: T, extra?: MessageExtraInfo) => void;
  #next = 1; // not 0: the SDK ignores the cancelling of a falsy id
  readonly #pending = new Map<RequestId, Pending<Context>>();
  /** What clients have been asked, and in which call. */
  readonly #asked = new Map<RequestId, RequestId>();

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

  /** What the Server sends: answers to calls, and what a call tells or asks its client meanwhile. */
  async send(message: JSONRPCMessage, { relatedRequestId }: TransportSendOptions = {}) {
    if ("method" in message) {
      const about = relatedRequestId === undefined ? undefined : this.#pending.get(relatedRequestId);
      if (!about || relatedRequestId === undefined) throw new Error("a shared server tells those alone who call");
      const is_told = about.tell(message);
      if (!("id" in message)) return;
      if (!is_told) throw new Error("the client cannot be asked: it does not take events");
      this.#asked.set(message.id, relatedRequestId);
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

  /** A reply of a client to what a call asked it. Nothing happens unless `is_his` knows the call's context. */
  reply(message: Reply, is_his: (context: Context) => boolean) {
    const pending = this.#pending.get(this.#asked.get(message.id) ?? "");
    if (!pending || !is_his(pending.context)) return;
    this.#asked.delete(message.id);
    this.onmessage?.(message);
  }

  /** Runs one call; undefined when its client went away first. `tell` takes what it says before its answer. */
  call(
    message: Call,
    context: Context,
    signal: AbortSignal,
    tell: Tell = () => false,
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
        for (const [asked, call] of this.#asked) if (call === inner.id) this.#asked.delete(asked);
        resolve(answer);
      };
      const cancel = () => {
        this.onmessage?.({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: inner.id } });
        end(undefined);
      };
      signal.addEventListener("abort", cancel, { once: true });
      const settle = (answer: JSONRPCMessage) => end({ ...answer, id: message.id } as JSONRPCMessage);
      this.#pending.set(inner.id, { context, request_id, is_taken: false, tell, settle });
      this.onmessage?.(inner);
    });
  }
}
