import { createHash } from "node:crypto";
import { invalidInput } from "../problem.ts";
import type { SearchRequest } from "./schema.ts";

const PLACE = /^(\d{1,5}) ([\da-f]{16})$/;

/** What two pages of one search have in common. */
function fingerprint({ query, mode, filter, context }: SearchRequest): string {
  return createHash("sha256")
    .update(JSON.stringify([query, mode, filter, context]))
    .digest("hex")
    .slice(0, 16);
}

/** An opaque text that leads to the results of this search from a place on. */
export const cursorAt = (place: number, request: SearchRequest) =>
  Buffer.from(`${place} ${fingerprint(request)}`).toString("base64url");

/** The place a request's cursor leads to; the beginning where it has none. Throws INVALID_INPUT for another search's. */
export function placeOf(request: SearchRequest): number {
  if (request.cursor === undefined) return 0;
  const [, place, of] = PLACE.exec(Buffer.from(request.cursor, "base64url").toString()) ?? [];
  if (!place || of !== fingerprint(request))
    throw invalidInput([{ at: "cursor", message: "is not one that this search gave out" }]);
  return Number(place);
}

/** What the answer takes beside its results. */
const ENVELOPE_TOKENS = 40;
const CHARACTERS_A_TOKEN = 4;

/** How many of the results fit into so many tokens, a token counted as four characters of JSON. */
export function fittingInto(max_tokens: number | undefined, results: readonly { characters: number }[]): number {
  if (max_tokens === undefined) return results.length;
  let left = (max_tokens - ENVELOPE_TOKENS) * CHARACTERS_A_TOKEN;
  const cut = results.findIndex(({ characters }) => {
    left -= characters;
    return left < 0;
  });
  return cut === -1 ? results.length : cut;
}
