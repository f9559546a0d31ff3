import type { Needs, Scope } from "../auth/scopes.ts";
import type { Ask } from "./world.ts";

/**
 * What a caller aims at: things of a victim that the caller may not see. Its ghost has the same shape and stands for
 * nothing there is; the answers to both must be one and the same.
 */
export interface Aim {
  readonly ids: readonly string[];
  /** The first of them. */
  readonly id: string;
  /** What a memory of the victim says, word for word, and the key it was stored with. */
  readonly content: string;
  readonly key: string;
  readonly entity: string;
  readonly thread: string;
  readonly tag: string;
  readonly artifact_ref: string;
  /** A space and a name that are not the caller's. */
  readonly space: string;
  readonly sub: string;
  /** 32 hexadecimal digits. */
  readonly session_id: string;
  readonly jti: string;
  readonly app_id: string;
  readonly relation_id: string;
  readonly merge_id: string;
  /** An event on the timeline of one of the victim's spaces. */
  readonly event_id: string;
  /** A memory of the caller's own, to bring into touch with the victim's. */
  readonly own_id: string;
}

/** What a caller has of its own, for lists, searches and counts: these must not change by what others store. */
export interface Own {
  /** Words of the caller's own memories, and of others'. */
  readonly words: string;
  readonly ids: readonly string[];
}

interface Probe {
  /** What a token must hold: written out here a second time, so that a line forgotten in src/auth/scopes.ts shows. */
  readonly needs: Needs;
  /** It changes nothing: it may be asked of a deployment. */
  readonly reads: boolean;
  /** It shows what was done in the whole org: asked about strangers alone, and colleagues' ids and names are no leak in it. */
  readonly is_of_org?: true;
}

/** How to call one route. */
export interface RouteProbe extends Probe {
  asks(aim: Aim): Ask[];
  views?(own: Own): Ask[];
}

/** How to call one tool, by its arguments, or one of MCP's other methods, by its parameters: call by call. */
export interface ToolProbe extends Probe {
  readonly needs: readonly Scope[];
  asks(aim: Aim): object[];
  views?(own: Own): object[];
}

/** A call of one of MCP's methods as a JSON-RPC message. */
export const methodCall = (method: string, params: object) => ({ jsonrpc: "2.0", id: "call", method, params });

/** A call of a tool as a JSON-RPC message. */
export const toolCall = (name: string, args: object) => methodCall("tools/call", { name, arguments: args });
