import type { Tx } from "../db.ts";
import { invalidInput, notFound, Problem } from "../problem.ts";

/** What a caller may say about a write beside its input. */
export interface WriteOptions {
  /** Within 24 hours the same write with the same key is done once. */
  idempotency_key?: string | undefined;
  /** Only if the memory is at this revision; else STALE_REVISION. */
  if_revision?: number | undefined;
}

/** `If-Match` where there is no one memory to match. Throws INVALID_INPUT. */
export function refuseRevision(if_revision: number | undefined) {
  if (if_revision !== undefined) throw invalidInput([{ at: "If-Match", message: "means nothing here" }]);
}

/** Throws NOT_FOUND where there is no such memory to change. */
export async function expectIn(tx: Tx, id: string) {
  const [there] = await tx`select from brain.memories where id = ${id} and state <> 'deleted'`;
  if (!there) throw notFound("memory");
}

/** The memory is at another revision than the one the caller named. */
export const staleRevision = () =>
  new Problem("STALE_REVISION", "The memory has been changed since that revision.", {
    hint: "Read it again and decide anew.",
  });
