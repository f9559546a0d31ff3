import type { RequestId } from "@modelcontextprotocol/sdk/types.js";
import { checkJson } from "../json.ts";
import { malformed } from "../problem.ts";
import type { Call, Reply } from "./transport.ts";

/** Most messages in one JSON-RPC batch. */
export const MAX_BATCH = 20;

export const NOT_A_MESSAGE = malformed("That is not a JSON-RPC 2.0 message.");

/** A request to answer, a notification or a reply to take note of (202), or neither. */
export type Message =
  | { kind: "call"; call: Call }
  | { kind: "note"; method: string; params: Record<string, unknown> }
  | { kind: "reply"; reply: Reply }
  | { kind: "bad"; id: RequestId | null };

/** Sorts what came as one JSON-RPC message. */
export function classify(value: unknown): Message {
  const id = isRecord(value) && isId(value.id) ? value.id : null;
  const bad: Message = { kind: "bad", id };
  if (!isRecord(value) || value.jsonrpc !== "2.0") return bad;
  const { method, params } = value;
  if (method === undefined)
    return id !== null && ("result" in value || "error" in value) ? { kind: "reply", reply: value as Reply } : bad;
  if (typeof method !== "string" || (params !== undefined && !isRecord(params))) return bad;
  if (!("id" in value)) return { kind: "note", method, params: params ?? {} };
  if (id === null) return bad;
  return { kind: "call", call: { jsonrpc: "2.0", id, method, ...(params && { params }) } };
}

/**
 * The guard of src/json.ts on what lies around a tool's arguments. Those are checked where they are used, so that what
 * is wrong with them is the tool's error. Throws what checkJson throws.
 */
export const checkEnvelope = (body: unknown) => checkJson(withoutArguments(body));

function withoutArguments(body: unknown): unknown {
  if (Array.isArray(body)) return body.map(withoutArguments);
  if (!isRecord(body) || !isRecord(body.params)) return body;
  return { ...body, params: { ...body.params, arguments: undefined } };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** What a JSON-RPC request may have for an id. */
export const isId = (value: unknown): value is RequestId => typeof value === "string" || Number.isSafeInteger(value);
