import type { Caller, Tx } from "../db.ts";
import { columns } from "../memories/columns.ts";
import { insertIn, nextId } from "../memories/insert.ts";
import type { Memory } from "../memories/schema.ts";
import { insufficientScope, spaceNotGranted } from "../problem.ts";
import { importedId } from "./ids.ts";
import { overwriteIn } from "./overwrite.ts";
import { type ArchiveRecord, reasonOf } from "./record.ts";
import { addEvents, addRelations } from "./said.ts";
import type { Tally } from "./tally.ts";

/** Records of one statement. */
const BATCH = 200;
const BATCH_CHARACTERS = 2_000_000;
/** Ids tried for one memory, should earlier ones have been moved out of the caller's sight. */
const MAX_IDS = 3;

export interface Applying {
  readonly caller: Caller;
  readonly tally: Tally;
  readonly mode: "skip" | "overwrite";
  /** Spaces the caller's grants open; what is for another is rejected. */
  readonly granted: ReadonlySet<string>;
}

/**
 * Stores an archive's memories in their order. The id of one that the caller sees means that memory; any other becomes
 * an id of the caller's own, always the same one, so that an import may be repeated.
 */
export async function applyRecords(tx: Tx, records: AsyncIterable<ArchiveRecord>, applying: Applying): Promise<void> {
  // In the order of the archive, each at its own moment: a thread stays in order, and what is superseded is older.
  await tx`select set_config('app.in_order', 'on', true)`;
  /** What became of the archive's ids. */
  const became = new Map<string, string>();
  let batch: ArchiveRecord[] = [];
  let characters = 0;
  const flush = async () => {
    const now = batch;
    [batch, characters] = [[], 0];
    if (now.length > 0) await applyBatch(tx, now, became, applying);
  };
  for await (const record of records) {
    if (!applying.granted.has(record.row.access_entity)) {
      applying.tally.reject({ ...reasonOf(record.line, record.old, spaceNotGranted()), at: "access_entity" });
      continue;
    }
    // What it replaces must be there before it.
    if (record.supersedes !== null && batch.some(({ old }) => old === record.supersedes)) await flush();
    batch.push(record);
    characters += record.row.content.length;
    if (batch.length >= BATCH || characters > BATCH_CHARACTERS) await flush();
  }
  await flush();
}

async function applyBatch(tx: Tx, records: ArchiveRecord[], became: Map<string, string>, applying: Applying) {
  const { caller, tally, mode } = applying;
  const there = await memoriesThere(tx, caller, records);
  const replaced = await replacedBy(tx, caller, records, became);
  const fresh: ArchiveRecord[] = [];
  const changed: { record: ArchiveRecord; memory: Memory }[] = [];
  for (const record of records) {
    const memory = there.get(record.old);
    if (memory) became.set(record.old, memory.id);
    if (!memory) fresh.push(record);
    else if (mode === "skip") tally.skipped++;
    else if (record.state === "deleted" && memory.state !== "deleted" && !caller.scopes.has("memories:delete"))
      tally.reject({ ...reasonOf(record.line, record.old, insufficientScope(["memories:delete"])), at: "state" });
    else changed.push({ record, memory });
  }

  const stored: { record: ArchiveRecord; id: string; access_entity: string }[] = [];
  const rows = fresh.map(({ old, row, state, supersedes }) => {
    const older = supersedes === null ? undefined : replaced.get(supersedes);
    return { ...row, id: importedId(caller, old), state, ...(older && { supersedes: older }) };
  });
  const inserted = rows.length > 0 ? await insertIn(tx, caller, rows, { in_order: true }) : [];
  for (const [index, record] of fresh.entries()) {
    const memory = inserted[index];
    if (!memory) throw new Error("an insert gave no row");
    became.set(record.old, memory.id);
    if (memory.duplicate) tally.skipped++;
    else {
      tally.created++;
      stored.push({ record, id: memory.id, access_entity: record.row.access_entity });
      if (record.supersedes !== null && !replaced.has(record.supersedes)) leaveOutSuperseded(tally, record);
    }
  }
  for (const { record, memory, access_entity, is_linked } of await overwriteIn(tx, changed, replaced, tally)) {
    stored.push({ record, id: memory.id, access_entity });
    if (record.supersedes !== null && !is_linked) leaveOutSuperseded(tally, record);
  }

  const said = stored.map(({ record, id, access_entity }) => ({ ...record, access_entity, memory_id: id }));
  await addRelations(tx, said, applying);
  await addEvents(tx, said, applying);
}

const leaveOutSuperseded = (tally: Tally, { line, old }: ArchiveRecord) =>
  tally.leaveOut({
    line,
    id: old,
    code: "NOT_FOUND",
    message: "There is no such memory to supersede.",
    at: "supersedes",
  });

/** Ids that an archive's id may mean here, the likeliest first. */
function meantBy(caller: Caller, old: string): string[] {
  const ids = [old];
  for (let id = importedId(caller, old); ids.length <= MAX_IDS; id = nextId(id)) ids.push(id);
  return ids;
}

/** Of the memories of an archive those that the caller sees here, by their ids there. Deleted ones too. */
async function memoriesThere(tx: Tx, caller: Caller, records: ArchiveRecord[]): Promise<Map<string, Memory>> {
  const meant = new Map(records.map(({ old }) => [old, meantBy(caller, old)]));
  const found = await tx<Memory[]>`
    select ${columns(tx)}
    from brain.memories
    join brain.spaces on spaces.id = space_id
    where memories.id = any (${[...meant.values()].flat()}::uuid[])`;
  const by_id = new Map(found.map((memory) => [memory.id, memory]));
  const there = new Map<string, Memory>();
  for (const [old, ids] of meant) {
    const memory = ids.map((id) => by_id.get(id)).find((one) => one !== undefined);
    if (memory) there.set(old, memory);
  }
  return there;
}

/** The memories here that those of an archive replace, by their ids there; absent where there is none to replace. */
async function replacedBy(tx: Tx, caller: Caller, records: ArchiveRecord[], became: ReadonlyMap<string, string>) {
  const meant = new Map<string, string[]>();
  for (const { supersedes } of records) {
    if (supersedes === null) continue;
    const id = became.get(supersedes);
    meant.set(supersedes, id ? [id] : meantBy(caller, supersedes));
  }
  const replaced = new Map<string, string>();
  if (meant.size === 0) return replaced;
  const found = await tx<{ id: string }[]>`
    select id from brain.memories
    where id = any (${[...meant.values()].flat()}::uuid[]) and state <> 'deleted'`;
  const there = new Set(found.map(({ id }) => id));
  for (const [old, ids] of meant) {
    const id = ids.find((one) => there.has(one));
    if (id) replaced.set(old, id);
  }
  return replaced;
}
