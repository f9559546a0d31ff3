import { scopeOf } from "../auth/grants.ts";
import { NotProvisioned } from "../db/caller.ts";
import type { Caller, Tx } from "../db.ts";
import { invalidInput, notFound, Problem, violates } from "../problem.ts";
import { similarDecisions } from "../search/similar.ts";
import { columns, stored } from "./columns.ts";
import { once } from "./idempotency.ts";
import { columnsFrom } from "./input.ts";
import { expectSpaces, insertIn, type NewRow, type Stored } from "./insert.ts";
import type { Deleted, History, HistoryQuery, Memory, MemoryChanges, NewMemory } from "./schema.ts";

/** What a caller may say about a write beside its input. */
export interface WriteOptions {
  /** Within 24 hours the same write with the same key is done once. */
  idempotency_key?: string | undefined;
  /** Only if the memory is at this revision; else STALE_REVISION. */
  if_revision?: number | undefined;
}

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

/** `If-Match` where there is no one memory to match. */
export function refuseRevision(if_revision: number | undefined) {
  if (if_revision !== undefined) throw invalidInput([{ at: "If-Match", message: "means nothing here" }]);
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

/** Throws NOT_FOUND where there is no such memory to change. */
async function expectIn(tx: Tx, id: string) {
  const [there] = await tx`select from brain.memories where id = ${id} and state <> 'deleted'`;
  if (!there) throw notFound("memory");
}

const staleRevision = () =>
  new Problem("STALE_REVISION", "The memory has been changed since that revision.", {
    hint: "Read it again and decide anew.",
  });

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

/**
 * What a memory was, newest first: each revision as it stood, who wrote it and when. Of a deleted one too, and only
 * what it said in spaces the caller sees. Throws NOT_FOUND.
 */
export function memoryHistory(caller: Caller, id: string, { page = 1, size = 20 }: HistoryQuery): Promise<History> {
  return caller.read(async (tx) => {
    const [there] = await tx`select from brain.memories where id = ${id}`;
    if (!there) throw notFound("memory");
    const revisions = tx`
      select revision, space_id, state, content, updated_at, updated_by,
             json_build_object(
               'category', category, 'artifact_type', artifact_type, 'artifact_ref', artifact_ref, 'entities', entities,
               'thread', thread, 'evidence', evidence, 'tags', tags, 'code_refs', code_refs, 'source', source,
               'metadata', metadata) as fields
      from brain.memories
      where id = ${id}
      union all
      select revision, space_id, state, content, updated_at, updated_by, fields
      from brain.memory_revisions
      where memory_id = ${id}`;
    const items = await tx<(Omit<History["items"][number], "category"> & { fields: object })[]>`
      select revision, state, access_entity, updated_at, updated_by, content, fields
      from (${revisions}) as revisions
      join brain.spaces on spaces.id = space_id
      order by revision desc
      offset ${(page - 1) * size}
      limit ${size}`;
    const [{ total } = { total: 0 }] = await tx<{ total: number }[]>`
      select count(*)::int as total from (${revisions}) as revisions`;
    return {
      items: items.map(({ fields, ...item }) => ({ ...item, ...fields })) as History["items"],
      total,
      total_is: "exact",
      page,
      size,
      pages: Math.ceil(total / size),
      next_cursor: null,
    };
  });
}

/** Own space by default; `auto` is the one shared space granted. Throws ACCESS_ENTITY_AMBIGUOUS. */
export function spaceFor({ sub, grants }: Caller, wanted = `user:${sub}`): string {
  if (wanted !== "auto") return wanted;
  const options = grants.filter((grant) => scopeOf(grant) !== "user");
  const [only] = options;
  if (only && options.length === 1) return only;
  throw new Problem("ACCESS_ENTITY_AMBIGUOUS", "The token grants not exactly one shared space.", {
    options,
    hint: "Name one of the options as access_entity, or leave it out to write to your own space.",
  });
}

/** The id of a space. Throws NotProvisioned, after which it is there or the token does not grant it. */
export async function spaceId(tx: Tx, access_entity: string): Promise<number> {
  const [space] = await tx<{ id: number }[]>`select id from brain.spaces where access_entity = ${access_entity}`;
  if (!space) throw new NotProvisioned([access_entity]);
  return space.id;
}
