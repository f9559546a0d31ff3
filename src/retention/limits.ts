import type { Tx } from "../db.ts";

/** Days for which what was deleted can be brought back, and recalls are kept, where the org has set nothing else. */
export const DELETED_DAYS = 30;
export const RECALL_DAYS = 90;

/** How long after its deletion a memory of the caller's org can still be brought back; sql/purge.sql goes by the same. */
export const deletedFor = (tx: Tx) => tx`
  make_interval(days => coalesce(
    (select (settings #>> '{retention,deleted_days}')::int from brain.settings), ${DELETED_DAYS}))`;
