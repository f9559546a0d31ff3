--! Rolls back: 000011-lists-find-by-index.sql
--! Release before: runs
--! Derived: brain.memory_tags

drop trigger _660_tag_insert on brain.memories;
drop trigger _660_tag_update on brain.memories;
drop function app.tg_memories__tag();

drop table brain.memory_tags;
drop function app.tag_key(text);

drop index brain.memories_category_idx;
drop index brain.memories_state_idx;
drop index brain.memories_artifact_type_idx;
drop index brain.memories_source_idx;
