import { Problem } from "../problem.ts";

/** Largest Authorization header. A token with all the grants it may have, 256 of 512 characters each, has 180,000 bytes. */
const MAX_TOKEN_BYTES = 196_608;
/** Largest address and other headers together: what is made of them takes time. */
const MAX_OTHER_BYTES = 16_384;

/** What Bun reads of all of it. Beyond that it answers 431 by itself, without our headers and body, so it lies above ours. */
export const MAX_READ_HEADER_BYTES = 262_144;

/** Throws HEADERS_TOO_LARGE. */
export function checkHeaders({ url, headers }: Request) {
  let others = url.length;
  let token = 0;
  for (const [name, value] of headers)
    if (name === "authorization") token = value.length;
    else others += name.length + value.length;
  if (token > MAX_TOKEN_BYTES || others > MAX_OTHER_BYTES)
    throw new Problem(
      "HEADERS_TOO_LARGE",
      `A token has at most ${MAX_TOKEN_BYTES} bytes; address and other headers have at most ${MAX_OTHER_BYTES} together.`,
    );
}
