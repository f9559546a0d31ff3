import type { Tx } from "../db.ts";

/** What a statement on brain.memories hands on for `columns`. */
export const stored = (tx: Tx) => tx`
  id, space_id, content, category, artifact_type, artifact_ref, entities, thread, evidence, tags, code_refs, source,
  metadata, supersedes, state, revision, owner, app, app_id, created_at, updated_at, archived_at, deleted_at`;

/**
 * A memory as every door shows it: of `memories` joined to its `spaces`. What it replaces and what replaces it is looked
 * up under the policy, so that neither tells of a memory the caller cannot see.
 */
export const columns = (tx: Tx) =>
  shown(
    tx,
    tx`
  (select older.id from brain.memories as older
   where older.id = memories.supersedes and older.state <> 'deleted') as supersedes,
  (select newer.id from brain.memories as newer
   where newer.supersedes = memories.id and newer.state = 'active'
   order by newer.created_at desc, newer.id desc limit 1) as superseded_by`,
  );

/**
 * The same of one that this very statement stores: nothing replaces it yet, and a trigger has looked under the policy
 * for what it replaces.
 */
export const newColumns = (tx: Tx) => shown(tx, tx`supersedes, null::uuid as superseded_by`);

const shown = (tx: Tx, links: ReturnType<typeof stored>) => tx`
  memories.id, content, category, access_entity, split_part(access_entity, ':', 1) as scope, artifact_type,
  artifact_ref, entities, thread, evidence, tags, code_refs, source, metadata, ${links},
  state, revision, owner, app, app_id,
  memories.created_at, updated_at, archived_at, deleted_at`;
