import { type FieldError, invalidInput, malformed, Problem, tooLarge } from "../problem.ts";

/** Largest JSON body in bytes. */
export const MAX_BODY_BYTES = 1_048_576;
/** Deepest nesting of objects and lists in a body or in a tool's arguments. */
export const MAX_DEPTH = 64;

/**
 * Reads a request's body as JSON: at most MAX_BODY_BYTES, valid UTF-8. Gives undefined for an absent or empty body.
 * Throws UNSUPPORTED_MEDIA_TYPE, TOO_LARGE or MALFORMED. Bun's own limit would answer without our headers and body.
 */
export async function readJson(request: Request): Promise<unknown> {
  if (request.body === null) return undefined;
  const text = await readText(request.body);
  if (text === "") return undefined;
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

/**
 * Refuses what JSON can say and PostgreSQL cannot keep: NUL and lone surrogates, in keys and values, the key
 * `__proto__`, and nesting beyond MAX_DEPTH. For REST bodies and tool arguments alike, before the schema.
 */
export function checkJson(value: unknown): void {
  const errors: FieldError[] = [];
  visit(value, [], errors);
  if (errors.length > 0) throw invalidInput(errors);
}

const MAX_ERRORS = 20;
const badText = (text: string) => text.includes("\0") || !text.isWellFormed();

function visit(value: unknown, path: string[], errors: FieldError[]) {
  if (errors.length >= MAX_ERRORS) return;
  if (typeof value === "string") {
    if (badText(value)) errors.push({ at: path.join("."), message: "must be text without NUL and lone surrogates" });
    return;
  }
  if (typeof value !== "object" || value === null) return;
  if (path.length >= MAX_DEPTH) throw malformed(`JSON may nest at most ${MAX_DEPTH} levels deep.`);
  for (const [key, inner] of Object.entries(value)) {
    if (key === "__proto__" || badText(key))
      errors.push({ at: path.join("."), message: "has a key that cannot be kept" });
    else visit(inner, [...path, key], errors);
  }
}

/** Refuses a query string with broken percent-encoding, invalid UTF-8 or NUL: Elysia would pass them on half decoded. */
export function checkQuery(url: string): void {
  const start = url.indexOf("?");
  if (start === -1 || !url.includes("%", start)) return;
  try {
    if (!decodeURIComponent(url.slice(start + 1)).includes("\0")) return;
  } catch (error) {
    throw malformed("The query string is not percent-encoded UTF-8.", error);
  }
  throw malformed("The query string has a NUL character.");
}
