--! Rolls back: 000002-the-other-doors.sql
--! Release before: runs
--! Lost: brain.memory_revisions
--! Lost: brain.idempotency_keys
--! Lost: brain.mcp_sessions
--! Lost: brain.memories where updated_by <> owner
--! Stays: brain.memories, as of two that said the same the later one was archived

drop trigger _600_keep_revision on brain.memories;
drop function app.tg_memories__keep_revision();

drop table brain.mcp_sessions, brain.idempotency_keys, brain.memory_revisions;

drop index brain.memories_content_key_idx;
alter table brain.memories drop column content_key, drop column updated_by;
drop function app.content_key(text);
drop function app.entity_key(text);

--! Restore: memories.sql
