import type { Tx } from "../db.ts";
import type { Memory } from "../memories/schema.ts";
import type { ArchiveRecord } from "./record.ts";
import type { Tally } from "./tally.ts";

/** What a memory has where an archive says nothing. */
const EMPTY = {
  category: "note",
  artifact_type: null,
  artifact_ref: null,
  entities: [],
  thread: null,
  evidence: [],
  tags: {},
  code_refs: [],
  source: "user",
  metadata: {},
};

interface Overwritten {
  record: ArchiveRecord;
  memory: Memory;
  /** Where it is now. */
  access_entity: string;
  /** Whether it now replaces what the archive says it does. */
  is_linked: boolean;
}

/**
 * Makes memories what an archive says they are. Counts those that are that already as skipped, and rejects what would
 * say exactly what another active memory of its space says. Gives those that were changed.
 */
export async function overwriteIn(
  tx: Tx,
  pairs: { record: ArchiveRecord; memory: Memory }[],
  replaced: ReadonlyMap<string, string>,
  tally: Tally,
): Promise<Overwritten[]> {
  const active = new Set<string>();
  const changed = new Map<string, { record: ArchiveRecord; memory: Memory; row: object }>();
  for (const { record, memory } of pairs) {
    const { line, old, state } = record;
    const told = { ...EMPTY, ...record.row, state, ...(!record.is_placed && { access_entity: memory.access_entity }) };
    const supersedes = record.supersedes === null ? null : (replaced.get(record.supersedes) ?? null);
    const relink = supersedes !== memory.supersedes;
    if (!relink && isSame(told, memory)) {
      tally.skipped++;
      continue;
    }
    // Two of one statement: the database would refuse the whole of it. So are two ids that mean one memory here.
    const said = JSON.stringify([told.access_entity, told.content]);
    if (changed.has(memory.id) || (state === "active" && active.has(said))) {
      tally.reject({ line, id: old, code: "CONFLICT", message: "says what another one of this archive says" });
      continue;
    }
    if (state === "active") active.add(said);
    changed.set(memory.id, { record, memory, row: { ...told, id: memory.id, supersedes, relink } });
  }
  if (changed.size === 0) return [];

  const rows = [...changed.values()].map(({ row }) => row);
  const updated = await tx<{ id: string; supersedes: string | null }[]>`
    update brain.memories
    set space_id = spaces.id, content = new.content, category = new.category, artifact_type = new.artifact_type,
        artifact_ref = new.artifact_ref, entities = new.entities, thread = new.thread, evidence = new.evidence,
        tags = new.tags, code_refs = new.code_refs, source = new.source, metadata = new.metadata, state = new.state,
        supersedes = case when new.relink then (
          select older.id from brain.memories as older
          where older.id = new.supersedes and older.state <> 'deleted'
            and (older.created_at, older.id) < (memories.created_at, memories.id)
        ) else memories.supersedes end
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as new (
           id uuid, access_entity text, content text, category text, artifact_type text, artifact_ref text,
           entities text[], thread text, evidence text[], tags jsonb, code_refs jsonb, source text, metadata json,
           state text, supersedes uuid, relink boolean)
    join brain.spaces using (access_entity)
    where memories.id = new.id and (new.state <> 'active' or not exists (
      select from brain.memories as twin
      where twin.space_id = spaces.id and twin.content_key = app.content_key(new.content) and twin.state = 'active'
        and twin.id <> new.id))
    returning memories.id, memories.supersedes`;
  tally.updated += updated.length;
  const links = new Map(updated.map(({ id, supersedes }) => [id, supersedes]));
  const done: Overwritten[] = [];
  for (const { record, memory } of changed.values()) {
    const { line, old } = record;
    const link = links.get(memory.id);
    if (link === undefined)
      tally.reject({
        line,
        id: old,
        code: "CONFLICT",
        message: "An active memory of that space says exactly the same.",
      });
    else
      done.push({
        record,
        memory,
        access_entity: record.is_placed ? record.row.access_entity : memory.access_entity,
        is_linked: link !== null,
      });
  }
  return done;
}

/** Whether a memory is what an archive says. Metadata is kept as it came, so the order of its keys counts. */
function isSame(told: Record<string, unknown>, memory: Memory): boolean {
  const { metadata, ...rest } = told;
  return (
    JSON.stringify(metadata) === JSON.stringify(memory.metadata) &&
    Object.entries(rest).every(([name, value]) => Bun.deepEquals(value, memory[name as keyof Memory]))
  );
}
