import type { Caller, Tx } from "../db.ts";
import { invalidInput, violates } from "../problem.ts";
import { deletedFor } from "../retention/limits.ts";
import type { Action, Changed, Selector } from "./action_schema.ts";
import { once } from "./idempotency.ts";
import { refuseRevision, type WriteOptions } from "./preconditions.ts";

/** Where each action leads, and from where. What is deleted comes back by its id alone: see `picked`. */
const TRANSITIONS = {
  archive: { from: ["active"], to: "archived" },
  pause: { from: ["active"], to: "paused" },
  restore: { from: ["paused", "archived"], to: "active" },
} as const satisfies Record<Action, object>;

/** How often somebody may store a twin of what is just being restored. */
const MOST_TRIES = 3;

/**
 * Takes memories to another state, those the caller sees and no others. `restore` brings back what was deleted within
 * the retention, where its id is given, and leaves what an active memory of its space already says. Of memory_ids every
 * one that is not changed counts as skipped; else those that were picked and could not be. Throws INVALID_INPUT,
 * APP_PAUSED, CONFLICT for a key used otherwise.
 */
export async function changeStates(
  caller: Caller,
  action: Action,
  selector: Selector,
  { idempotency_key, if_revision }: WriteOptions = {},
  tries = MOST_TRIES,
): Promise<Changed> {
  refuseRevision(if_revision);
  if (selector.all && Object.keys(selector).length > 1)
    throw invalidInput([{ at: "all", message: "goes without anything else" }]);
  try {
    return await caller.write((tx) =>
      once(tx, { idempotency_key, asked: ["changeStates", action, selector] }, () => changeIn(tx, action, selector), {
        result: (answer) => answer,
        replay: async (kept) => kept,
      }),
    );
  } catch (error) {
    if (tries === 0 || !violates(error, "memories_content_key_idx")) throw error;
    return changeStates(caller, action, selector, { idempotency_key }, tries - 1);
  }
}

async function changeIn(tx: Tx, action: Action, selector: Selector): Promise<Changed> {
  // In one order for all, or two actions on the same memories would wait for each other.
  const [row = { picked: 0, changed: 0 }] = await tx<{ picked: number; changed: number }[]>`
    with picked as materialized (
      select id, space_id, content_key
      from brain.memories
      where ${picked(tx, action, selector)}
      order by id
      for update
    ),
    changed as (
      update brain.memories
      set state = ${TRANSITIONS[action].to}
      where id in (${action === "restore" ? withoutTwins(tx) : tx`select id from picked`})
      returning id
    )
    select (select count(*)::int from picked) as picked, (select count(*)::int from changed) as changed`;
  const asked = selector.memory_ids ? new Set(selector.memory_ids.map((id) => id.toLowerCase())).size : row.picked;
  return { changed: row.changed, skipped: asked - row.changed };
}

/** The condition on what an action is asked for. */
const picked = (tx: Tx, action: Action, { memory_ids, category, app_id }: Selector) => tx`
  (state = any (${[...TRANSITIONS[action].from]})
   ${action === "restore" && memory_ids ? tx`or state = 'deleted' and deleted_at > now() - ${deletedFor(tx)}` : tx``})
  ${memory_ids ? tx`and id = any (${memory_ids}::uuid[])` : tx``}
  ${category ? tx`and category = ${category}` : tx``}
  ${app_id ? tx`and app_id = ${app_id}` : tx``}`;

/** Of what says the same in a space only the newest, and none where an active memory says it. */
const withoutTwins = (tx: Tx) => tx`
  select distinct on (space_id, content_key) id
  from picked
  where not exists (
    select from brain.memories as twin
    where twin.space_id = picked.space_id and twin.content_key = picked.content_key and twin.state = 'active')
  order by space_id, content_key, id desc`;
