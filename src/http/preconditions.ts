import { invalidInput } from "../problem.ts";

/** What the headers of a write say beside its body. Throws INVALID_INPUT naming the header. */
export function writeOptions({ headers }: Request) {
  return { idempotency_key: idempotencyKey(headers), if_revision: ifRevision(headers) };
}

/** `Idempotency-Key`: 1 to 256 visible ASCII characters. */
function idempotencyKey(headers: Headers): string | undefined {
  const key = headers.get("idempotency-key")?.trim();
  if (key === undefined || /^[\x21-\x7e]{1,256}$/.test(key)) return key;
  throw invalidInput([{ at: "Idempotency-Key", message: "must be 1 to 256 visible ASCII characters" }]);
}

/** `If-Match`: a revision, as the ETag gives it; the quotes may be missing, and `*` asks for none in particular. */
function ifRevision(headers: Headers): number | undefined {
  const tag = headers.get("if-match")?.trim();
  if (tag === undefined || tag === "*") return undefined;
  const [, revision] = /^"?(\d{1,9})"?$/.exec(tag) ?? [];
  if (revision === undefined)
    throw invalidInput([{ at: "If-Match", message: "must be a revision, as the ETag gives it" }]);
  return Number(revision);
}

/** The memory, its revision set as the answer's ETag. */
export async function tagged<M extends { revision: number }>(
  set: { headers: Record<string, string | number | undefined> },
  work: Promise<M>,
): Promise<M> {
  const memory = await work;
  set.headers.etag = `"${memory.revision}"`;
  return memory;
}
