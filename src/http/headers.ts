import { Problem } from "../problem.ts";

/**
 * Largest request line and headers, in bytes of their text. A token with all the grants it may have, 256 of 512
 * characters each, has 180,000.
 */
const MAX_HEADER_BYTES = 196_608;

/** What Bun reads of them. Beyond that it answers 431 by itself, without our headers and body, so it lies above ours. */
export const MAX_READ_HEADER_BYTES = 262_144;

/** Throws HEADERS_TOO_LARGE. */
export function checkHeaders({ url, headers }: Request) {
  let bytes = url.length;
  for (const [name, value] of headers) bytes += name.length + value.length;
  if (bytes > MAX_HEADER_BYTES)
    throw new Problem("HEADERS_TOO_LARGE", `The address and headers have at most ${MAX_HEADER_BYTES} bytes together.`);
}
