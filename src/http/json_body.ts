import { invalidInput, malformed, Problem, tooLarge } from "../problem.ts";

/** Largest JSON body in bytes. */
export const MAX_BODY_BYTES = 1_048_576;

/**
 * Reads a request's body as JSON: at most MAX_BODY_BYTES, valid UTF-8. Gives null for an absent or empty body:
 * undefined would have Elysia read it once more.
 * Throws UNSUPPORTED_MEDIA_TYPE, TOO_LARGE or MALFORMED. Bun's own limit would answer without our headers and body.
 */
export async function readJson(request: Request): Promise<unknown> {
  if (request.body === null) return null;
  if (request.headers.has("content-encoding"))
    throw new Problem("UNSUPPORTED_MEDIA_TYPE", "The body must be sent as it is, not compressed.");
  const text = await readText(request.body);
  if (text === "") return null;
  const [media_type = ""] = (request.headers.get("content-type") ?? "").split(";", 1);
  if (media_type.trim().toLowerCase() !== "application/json")
    throw new Problem("UNSUPPORTED_MEDIA_TYPE", "The body must be sent as application/json.");
  try {
    return JSON.parse(text);
  } catch (error) {
    throw malformed("The body is not JSON.", error);
  }
}

async function readText(body: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const reader = body.getReader();
  let text = "";
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return text + decoder.decode();
      bytes += value.byteLength;
      if (bytes > MAX_BODY_BYTES) throw tooLarge(`A body has at most ${MAX_BODY_BYTES} bytes.`);
      text += decoder.decode(value, { stream: true });
    }
  } catch (error) {
    await reader.cancel().catch(() => {}); // the reader may have failed already; the first error is the one to tell
    if (error instanceof TypeError) throw malformed("The body is not valid UTF-8.", error);
    throw error;
  }
}

/** Parameters that may be given several times. */
const REPEATABLE = new Set(["tag"]);

/**
 * Refuses a path or a query string with broken percent-encoding, invalid UTF-8 or NUL, which Elysia would pass on half
 * decoded, and a parameter given twice, of which it would take the last.
 */
export function checkUrl(url: string): void {
  decoded(new URL(url).pathname, "path");
  const start = url.indexOf("?");
  if (start === -1) return;
  const names = new Set<string>();
  for (const part of url
    .slice(start + 1)
    .replaceAll("+", " ")
    .split("&")) {
    decoded(part, "query string");
    const name = decoded(part.split("=", 1)[0] ?? "", "query string");
    if (name !== "" && names.has(name) && !REPEATABLE.has(name))
      throw invalidInput([{ at: name.slice(0, 64), message: "is given twice" }]);
    names.add(name);
  }
}

function decoded(text: string, what: string): string {
  let plain: string;
  try {
    plain = decodeURIComponent(text);
  } catch (error) {
    throw malformed(`The ${what} is not percent-encoded UTF-8.`, error);
  }
  if (plain.includes("\0")) throw malformed(`The ${what} has a NUL character.`);
  return plain;
}
