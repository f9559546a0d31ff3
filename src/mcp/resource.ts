import type { ReadResourceResult, Resource, ResourceTemplate } from "@modelcontextprotocol/sdk/types.js";
import type { Scope } from "../auth/scopes.ts";
import type { Caller } from "../db.ts";

/** One kind of resources: those of one form of address. */
export interface ResourceKind {
  /** The scopes a token must hold to list and read them. */
  readonly needs: readonly Scope[];
  readonly template: ResourceTemplate;
  /** Whether an address is one of these. */
  has(uri: string): boolean;
  /** A page of them, and the cursor of the next. Throws INVALID_INPUT for a cursor that is none of ours. */
  list(caller: Caller, cursor: string | undefined): Promise<{ resources: Resource[]; next_cursor: string | null }>;
  /** Throws NOT_FOUND. */
  read(caller: Caller, uri: string): Promise<ReadResourceResult["contents"]>;
}
