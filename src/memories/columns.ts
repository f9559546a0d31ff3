import type { Tx } from "../db.ts";

/** What a statement on brain.memories hands on for `columns`. */
export const stored = (tx: Tx) => tx`
  id, space_id, content, category, artifact_type, artifact_ref, entities, thread, evidence, tags, code_refs, source,
  metadata, state, revision, owner, app, app_id, created_at, updated_at, archived_at, deleted_at`;

/** A memory as every door shows it: of `memories` joined to its `spaces`. */
export const columns = (tx: Tx) => tx`
  memories.id, content, category, access_entity, split_part(access_entity, ':', 1) as scope, artifact_type,
  artifact_ref, entities, thread, evidence, tags, code_refs, source, metadata, state, revision, owner, app, app_id,
  memories.created_at, updated_at, archived_at, deleted_at`;
