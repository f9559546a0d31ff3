import type { Caller, Tx } from "../db.ts";
import { Problem } from "../problem.ts";
import { once } from "./idempotency.ts";
import { expectIn, refuseRevision, staleRevision, type WriteOptions } from "./preconditions.ts";
import type { Deleted } from "./schema.ts";

/** Deletes softly, by ids. What is absent, deleted or not the caller's to see is counted as skipped. */
export function deleteMemories(
  caller: Caller,
  memory_ids: string[],
  { idempotency_key, if_revision }: WriteOptions = {},
): Promise<Deleted> {
  refuseRevision(if_revision);
  const ids = [...new Set(memory_ids.map((id) => id.toLowerCase()))];
  return caller.write((tx) =>
    once(
      tx,
      { idempotency_key, asked: ["deleteMemories", ids] },
      async () => {
        const gone = await deleteIn(tx, ids);
        return { deleted: gone.length, skipped: ids.length - gone.length };
      },
      { result: (answer) => answer, replay: async (kept) => kept },
    ),
  );
}

/**
 * Deletes softly all the caller sees, or all of one space. `expected` is how many that must be: CONFLICT, and nothing
 * deleted, where it is another number.
 */
export function deleteAllMemories(
  caller: Caller,
  { expected, access_entity = null }: { expected: number; access_entity?: string | null },
): Promise<Deleted> {
  const meant = (tx: Tx) => tx`
    state <> 'deleted' and (${access_entity}::text is null or space_id = any (array(
      select id from brain.spaces where access_entity = ${access_entity})))`;
  const otherNumber = (count: number) =>
    new Problem("CONFLICT", `This would delete ${count} memories, which is not the number confirmed.`, {
      hint: `Look at what they are; then confirm with "${count}".`,
    });
  return caller.write(async (tx) => {
    const [{ count } = { count: 0 }] = await tx<{ count: number }[]>`
      select count(*)::int as count from brain.memories where ${meant(tx)}`;
    if (count !== expected) throw otherNumber(count);
    const gone = await tx`update brain.memories set state = 'deleted' where ${meant(tx)} returning id`;
    if (gone.length !== expected) throw otherNumber(gone.length); // written to in between
    return { deleted: gone.length, skipped: 0 };
  });
}

/** Deletes one, softly. Throws NOT_FOUND, STALE_REVISION. */
export function deleteMemory(
  caller: Caller,
  id: string,
  { idempotency_key, if_revision }: WriteOptions = {},
): Promise<void> {
  return caller.write((tx) =>
    once(
      tx,
      { idempotency_key, asked: ["deleteMemory", id.toLowerCase(), if_revision] },
      async () => {
        if ((await deleteIn(tx, [id], if_revision)).length > 0) return;
        await expectIn(tx, id);
        throw staleRevision();
      },
      { result: () => null, replay: async () => {} },
    ),
  );
}

const deleteIn = (tx: Tx, ids: string[], if_revision?: number) => tx`
  update brain.memories
  set state = 'deleted'
  where id = any (${ids}::uuid[]) and state <> 'deleted'
    and (${if_revision ?? null}::int is null or revision = ${if_revision ?? null})
  returning id`;
