import type { Caller, Tx } from "../db.ts";
import { notFound, Problem, violates } from "../problem.ts";
import { similarDecisions } from "../search/similar.ts";
import { columns, stored } from "./columns.ts";
import { once } from "./idempotency.ts";
import { columnsFrom } from "./input.ts";
import { expectSpaces, insertIn, type NewRow, type Stored } from "./insert.ts";
import { expectIn, refuseRevision, staleRevision, type WriteOptions } from "./preconditions.ts";
import type { Memory, MemoryChanges, NewMemory } from "./schema.ts";
import { spaceFor, spaceId } from "./spaces.ts";

/**
 * Stores one memory, or gives the active one of its space that says exactly the same, with `duplicate: true`.
 * Throws INVALID_INPUT, FORBIDDEN_ACCESS_ENTITY, ACCESS_ENTITY_AMBIGUOUS, APP_PAUSED, CONFLICT for a key used otherwise.
 */
export async function addMemory(caller: Caller, memory: NewMemory, options: WriteOptions = {}): Promise<Stored> {
  const [added] = await insertOnce(caller, [rowFrom(caller, memory, "")], ["addMemory", memory], options);
  if (!added) throw new Error("an insert gave no row");
  return added;
}

/** Stores all of them or none; answers in the same order. Throws what addMemory throws, naming the place. */
export async function addMemories(
  caller: Caller,
  memories: NewMemory[],
  options: WriteOptions = {},
): Promise<Stored[]> {
  const rows = memories.map((memory, index) => rowFrom(caller, memory, `memories.${index}.`));
  return insertOnce(caller, rows, ["addMemories", memories], options);
}

function rowFrom(caller: Caller, memory: NewMemory, at: string): NewRow {
  const row = columnsFrom(memory, at);
  return { ...row, access_entity: spaceFor(caller, row.access_entity) };
}

function insertOnce(
  caller: Caller,
  rows: NewRow[],
  asked: unknown[],
  { idempotency_key, if_revision }: WriteOptions,
): Promise<Stored[]> {
  refuseRevision(if_revision);
  const work = async (tx: Tx) => {
    if (idempotency_key !== undefined) await expectSpaces(tx, rows);
    return once(tx, { idempotency_key, asked }, async () => withSimilar(tx, await insertIn(tx, caller, rows)), {
      result: (added) => added.map(({ id, duplicate }) => ({ id, duplicate })),
      replay: async (kept) => {
        const memories = await memoriesIn(
          tx,
          kept.map(({ id }) => id),
        );
        return kept.map(({ id, duplicate }) => {
          const memory = memories.get(id);
          if (!memory) throw notFound("memory"); // deleted or moved since
          return { ...memory, ...(duplicate && { duplicate }) };
        });
      },
    });
  };
  // Decisions are compared with others by a search, whose plans are better made for its words.
  const has_decisions = rows.some(({ category }) => category === "decision");
  return caller.write(work, has_decisions ? {} : { plans: "once" });
}

/** Decisions of one write that are compared with what was decided before; a long import is not. */
const MOST_COMPARED = 10;

/** New decisions with those of their space that they may replace, so that an assistant can say that they do. */
async function withSimilar(tx: Tx, stored: Stored[]): Promise<Stored[]> {
  const decided = stored.filter(({ category, duplicate }) => category === "decision" && !duplicate);
  if (decided.length > MOST_COMPARED) return stored;
  for (const memory of decided) {
    const similar = (await similarDecisions(tx, memory)).filter(({ id }) => id !== memory.supersedes);
    if (similar.length > 0) memory.similar = similar;
  }
  return stored;
}

/** One memory, by id. Throws NOT_FOUND for what is deleted, absent or not the caller's to see: one and the same answer. */
export async function getMemory(caller: Caller, id: string): Promise<Memory> {
  const memory = await caller.read((tx) => memoryIn(tx, id), { plans: "once", statements: 1 });
  caller.recalled("get", [memory]);
  return memory;
}

async function memoryIn(tx: Tx, id: string): Promise<Memory> {
  const [memory] = await tx<Memory[]>`
    select ${columns(tx)}
    from brain.memories
    join brain.spaces on spaces.id = space_id
    where memories.id = ${id} and state <> 'deleted'`;
  if (!memory) throw notFound("memory");
  return memory;
}

async function memoriesIn(tx: Tx, ids: string[]): Promise<Map<string, Memory>> {
  const memories = await tx<Memory[]>`
    select ${columns(tx)}
    from brain.memories
    join brain.spaces on spaces.id = space_id
    where memories.id = any (${ids}::uuid[]) and state <> 'deleted'`;
  return new Map(memories.map((memory) => [memory.id, memory]));
}

/**
 * Changes what is given and leaves the rest; a new access_entity moves it. Throws NOT_FOUND, STALE_REVISION, CONFLICT
 * where an active memory of its space already says the same, and what addMemory throws.
 */
export async function updateMemory(
  caller: Caller,
  id: string,
  changes: MemoryChanges,
  { idempotency_key, if_revision }: WriteOptions = {},
): Promise<Memory> {
  const { access_entity, ...changed } = columnsFrom(changes);
  const target = access_entity && spaceFor(caller, access_entity);
  const asked = ["updateMemory", id.toLowerCase(), changes, if_revision];
  try {
    return await caller.write((tx) =>
      once(tx, { idempotency_key, asked }, () => updateIn(tx, id, changed, target, if_revision), {
        result: () => null,
        replay: () => memoryIn(tx, id),
      }),
    );
  } catch (error) {
    if (violates(error, "memories_content_key_idx"))
      throw await twinConflict(caller, id, changed.content, target, error);
    throw error;
  }
}

async function updateIn(
  tx: Tx,
  id: string,
  changed: object,
  target: string | undefined,
  if_revision: number | undefined,
): Promise<Memory> {
  // First whether there is anything to move: a space must not be made for nothing.
  if (target) await expectIn(tx, id);
  const set = { ...changed, ...(target && { space_id: await spaceId(tx, target) }) };
  const [memory] = await tx<Memory[]>`
    with updated as (
      update brain.memories
      set ${tx(set as never)}
      where id = ${id} and state <> 'deleted' and (${if_revision ?? null}::int is null or revision = ${if_revision ?? null})
      returning ${stored(tx)}
    )
    select ${columns(tx)}
    from updated as memories
    join brain.spaces on spaces.id = space_id`;
  if (memory) return memory;
  await expectIn(tx, id);
  throw staleRevision();
}

/** Which memory it is that says the same already. */
async function twinConflict(
  caller: Caller,
  id: string,
  content: string | undefined,
  target: string | undefined,
  cause: unknown,
): Promise<Problem> {
  const twins = await caller.read(
    (tx) => tx<{ id: string }[]>`
      select twins.id
      from brain.memories
      join brain.spaces on spaces.id = space_id
      join brain.spaces as targets on targets.access_entity = coalesce(${target ?? null}, spaces.access_entity)
      -- A look-up: in a join the key, which a function makes of a row, is kept out of the index by the policy.
      cross join lateral (
        select id from brain.memories as twin
        where twin.space_id = targets.id and state = 'active'
          and content_key = app.content_key(coalesce(${content ?? null}, memories.content))
        limit 1
      ) as twins
      where memories.id = ${id} and twins.id <> ${id}`,
  );
  return new Problem("CONFLICT", "An active memory of that space says exactly the same.", {
    options: twins.map((twin) => twin.id),
    hint: "Change that memory, or delete one of the two.",
    cause,
  });
}
