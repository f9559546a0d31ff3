import type { Tx } from "../db.ts";
import { Problem } from "../problem.ts";

/** A write that its caller may send again: the key it was given, and all that was asked. */
export interface Retriable {
  idempotency_key?: string | undefined;
  /** Operation and input; another one under the same key is a CONFLICT. */
  asked: readonly unknown[];
}

/**
 * Runs the work once for a key of the caller's within 24 hours, in the transaction of the work: a retry waits for the
 * first one to end, and then gets what that came to. `result` is what is kept of it, ids rather than content, so that
 * nothing deleted is kept here; `replay` makes the answer of it again. Without a key the work just runs.
 */
export async function once<T, R>(
  tx: Tx,
  { idempotency_key, asked }: Retriable,
  work: () => Promise<T>,
  { result, replay }: { result: (answer: T) => R; replay: (kept: R) => Promise<T> },
): Promise<T> {
  if (idempotency_key === undefined) return work();
  const fingerprint = new Bun.CryptoHasher("sha256").update(canonical(asked)).digest();
  await tx`delete from brain.idempotency_keys where created_at < now() - interval '24 hours'`;
  const [first] = await tx`
    insert into brain.idempotency_keys (key, fingerprint)
    values (${idempotency_key}, ${fingerprint})
    on conflict do nothing
    returning key`;
  if (first) {
    const answer = await work();
    const kept = JSON.stringify(result(answer));
    await tx`update brain.idempotency_keys set result = ${kept}::text::jsonb where key = ${idempotency_key}`;
    return answer;
  }
  const [known] = await tx<{ is_same: boolean; result: R }[]>`
    select fingerprint = ${fingerprint} as is_same, result from brain.idempotency_keys where key = ${idempotency_key}`;
  if (!known?.is_same)
    throw new Problem("CONFLICT", "That idempotency key was used for another request.", {
      hint: "Use a new key for a new request, and the same one only to send the same request again.",
    });
  return replay(known.result);
}

/** The same text for the same input, in whatever order its fields came. */
const canonical = (asked: unknown) =>
  JSON.stringify(asked, (_key, value: unknown) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
