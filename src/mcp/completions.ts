import type { CompleteRequest, CompleteResult } from "@modelcontextprotocol/sdk/types.js";
import { requireScopes } from "../auth/scopes.ts";
import type { Caller } from "../db.ts";
import { CATEGORIES } from "../memories/schema.ts";
import { suggest } from "../memories/suggest.ts";
import { GUIDE_NAMES } from "./guides.ts";

/** Most values of one answer, by the protocol. */
const MOST = 100;

/**
 * What an argument of a prompt or of a resource's address may be completed to. Nothing, for one that takes free text.
 * Throws INSUFFICIENT_SCOPE.
 */
export async function completions(
  caller: Caller,
  { ref, argument: { name, value } }: CompleteRequest["params"],
): Promise<CompleteResult["completion"]> {
  if (ref.type === "ref/resource") return name === "name" ? among(GUIDE_NAMES, value) : among([], value);
  if (name === "category") return among(CATEGORIES, value);
  if (name !== "entity" && name !== "tag" && name !== "access_entity") return among([], value);
  requireScopes(caller.scopes, ["memories:read"]);
  const { values, total } = await suggest(caller, name, value, MOST);
  return { values, total, hasMore: total > values.length };
}

function among(words: readonly string[], beginning: string): CompleteResult["completion"] {
  const values = words.filter((word) => word.startsWith(beginning.toLowerCase()));
  return { values, total: values.length, hasMore: false };
}
