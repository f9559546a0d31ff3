/** A piece of a longer input, or that it was longer than it may be. */
export interface Piece {
  /** From 1: lines of a file, elements of a list. */
  readonly number: number;
  /** Null where it has more bytes than allowed: it was passed over, not kept. */
  readonly bytes: Buffer | null;
}

type Chunks = AsyncIterable<Uint8Array>;

const NEWLINE = 10;

/** The lines of a text, without their ends and without empty ones; each in memory by itself, and none beyond `max_bytes`. */
export async function* linesOf(chunks: Chunks, max_bytes: number): AsyncGenerator<Piece> {
  const kept = keeper(max_bytes);
  let number = 1;
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, from)) {
      kept.add(chunk.subarray(from, end));
      const bytes = kept.take();
      if (bytes === null || bytes.some((byte) => byte > 32)) yield { number, bytes };
      number++;
      from = end + 1;
    }
    kept.add(chunk.subarray(from));
  }
  const bytes = kept.take();
  if (bytes === null || bytes.some((byte) => byte > 32)) yield { number, bytes };
}

const [QUOTE, BACKSLASH, COMMA, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = Buffer.from('"\\,[]{}');

/** The JSON of a document cannot be taken apart. */
export class NotJson extends Error {
  override readonly name = "NotJson";
}

/**
 * The elements of the list that stands under `key` in a JSON object, each in memory by itself: for documents that are
 * larger than memory should be. What is between the elements and around the list is not checked further.
 * Throws NotJson where the document is no object or ends too early.
 */
export async function* elementsOf(chunks: Chunks, key: string, max_bytes: number): AsyncGenerator<Piece> {
  const wanted = JSON.stringify(key);
  const kept = keeper(max_bytes);
  let number = 1;
  let depth = 0;
  let is_text = false;
  let is_escaped = false;
  /** The last text at the depth of the object's own keys, as it stands there. */
  let name = "";
  let is_in_list = false;
  let is_object = false;

  for await (const chunk of chunks) {
    let from = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      if (is_text) {
        if (is_escaped) is_escaped = false;
        else if (byte === BACKSLASH) is_escaped = true;
        else if (byte === QUOTE) is_text = false;
        if (depth === 1 && name.length <= wanted.length) name += String.fromCharCode(byte ?? 0);
        continue;
      }
      if (byte === QUOTE && depth > 0) {
        is_text = true;
        if (depth === 1) name = '"';
        continue;
      }
      if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
        if (depth === 0 && (is_object || byte === OPEN_LIST)) throw new NotJson("something else than one object");
        if (depth === 1 && byte === OPEN_LIST && name === wanted) {
          is_in_list = true;
          from = at + 1;
        }
        is_object = true;
        depth++;
        continue;
      }
      const closes = byte === CLOSE_OBJECT || byte === CLOSE_LIST;
      if (closes && --depth < 0) throw new NotJson("more ends than beginnings");
      if (is_in_list && ((closes && depth === 1) || (byte === COMMA && depth === 2))) {
        kept.add(chunk.subarray(from, at));
        from = at + 1;
        const bytes = kept.take();
        if (bytes === null || bytes.some((byte) => byte > 32)) yield { number: number++, bytes };
        if (closes) is_in_list = false;
      }
      if (depth === 1 && (byte === COMMA || closes)) name = "";
      else if (depth === 0 && !closes && byte !== undefined && byte > 32)
        throw new NotJson("something else than an object");
    }
    if (is_in_list) kept.add(chunk.subarray(from));
  }
  if (depth !== 0 || is_text || !is_object) throw new NotJson("an end that is missing");
}

/** Puts pieces together, up to a limit. */
function keeper(max_bytes: number) {
  let parts: Buffer[] = [];
  let bytes = 0;
  return {
    add(part: Uint8Array) {
      bytes += part.byteLength;
      if (bytes > max_bytes) parts = [];
      else if (part.byteLength > 0) parts.push(Buffer.from(part)); // a copy: the chunk is used again
    },
    /** Null where it became more than allowed. */
    take(): Buffer | null {
      const whole = bytes > max_bytes ? null : Buffer.concat(parts);
      parts = [];
      bytes = 0;
      return whole;
    },
  };
}

/** The value of a piece of JSON; undefined where it is no JSON or no UTF-8. */
export function jsonIn(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
