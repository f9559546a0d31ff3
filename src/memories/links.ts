import type { Caller, Tx } from "../db.ts";
import { preview } from "./lean.ts";

/** A memory that another one leads to, and how. */
export interface Link {
  relation: "supersedes" | "superseded_by" | "earlier_in_thread" | "later_in_thread";
  id: string;
  category: string;
  created_at: string;
  /** At most 160 characters of its text. */
  preview: string;
}

const PREVIEW = 160;
/** Of each relation. */
const MOST = 3;
/** Neighbours in time of which those of the thread are taken: more would be a walk through the whole space. */
const NEAR = 1000;

/** What a memory replaces, what replaces it, and its nearest neighbours in its thread; of what the caller sees. */
export function memoryLinks(caller: Caller, id: string): Promise<Link[]> {
  return caller.read(async (tx) => {
    const links = await tx<(Omit<Link, "preview"> & { content: string })[]>`
      with this as (
        select id, space_id, thread, supersedes, created_at
        from brain.memories
        where id = ${id} and state <> 'deleted'
      )
      select 'supersedes' as relation, older.id, older.category, older.created_at, older.content
      from this
      join brain.memories as older on older.id = this.supersedes and older.state <> 'deleted'
      union all
      (select 'superseded_by', newer.id, newer.category, newer.created_at, newer.content
       from this
       join brain.memories as newer on newer.supersedes = this.id and newer.state = 'active'
       order by newer.created_at desc, newer.id desc
       limit ${MOST})
      union all
      select 'earlier_in_thread', near.* from this cross join lateral (${neighbours(tx, "earlier")}) as near
      union all
      select 'later_in_thread', near.* from this cross join lateral (${neighbours(tx, "later")}) as near`;
    return links.map(({ content, ...link }) => ({ ...link, preview: preview(content, PREVIEW) }));
  });
}

/** Of `this` one's thread and space, the nearest first. */
function neighbours(tx: Tx, side: "earlier" | "later") {
  const [beyond, order] =
    side === "earlier"
      ? [tx`(created_at, id) < (this.created_at, this.id)`, tx`order by created_at desc, id desc`]
      : [tx`(created_at, id) > (this.created_at, this.id)`, tx`order by created_at, id`];
  return tx`
    select id, category, created_at, content
    from (
      select id, category, created_at, content, thread
      from brain.memories
      where this.thread is not null and space_id = this.space_id and state = 'active' and ${beyond}
      ${order}
      limit ${NEAR}
    ) as around
    where thread = this.thread
    ${order}
    limit ${MOST}`;
}
