import type { Tx } from "../db.ts";
import { preview } from "../memories/lean.ts";
import { notFound, Problem } from "../problem.ts";
import type { Glimpse } from "./schema.ts";

export const PREVIEW = 160;

/** The columns of a glimpse, of `memories` joined to its `spaces`; enough of the text to see whether there is more. */
export const glimpses = (tx: Tx) => tx`
  memories.id, category, access_entity, left(content, ${PREVIEW + 1}) as preview, memories.created_at`;

/** A row that has those columns and perhaps others, its preview cut. */
export const shown = <R extends Glimpse>(row: R): R => ({ ...row, preview: preview(row.preview, PREVIEW) });

/** Absent, not the caller's to see, or not active: the same for all of them. */
export const notInGraph = () =>
  new Problem("NOT_FOUND", notFound("memory").detail, { hint: "The graph is of active memories only." });

/** Throws NOT_FOUND where a memory is not in the caller's graph. */
export async function expectInGraph(tx: Tx, id: string) {
  const [there] = await tx`select from brain.memories where id = ${id} and state = 'active'`;
  if (!there) throw notInGraph();
}
