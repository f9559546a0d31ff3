--! Rolls back: 000019-sealing-and-recalls-in-fewer-steps.sql
--! Release before: runs

--! Restore: recalls.sql
--! Restore: audit.sql

drop function app.framed_list(text[]);
drop function app.framed_field(text);

-- What is still gathered is sorted in: with fastupdate off nothing would do it before the next vacuum.
alter index brain.memory_access_log_memory_ids_idx set (fastupdate = off);
alter index brain.memory_access_log_memory_ids_idx reset (gin_pending_list_limit);
select gin_clean_pending_list('brain.memory_access_log_memory_ids_idx');
