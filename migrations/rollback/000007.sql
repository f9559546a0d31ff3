--! Rolls back: 000007-what-an-import-needs.sql
--! Release before: runs

drop trigger _300_moment on brain.memories;
drop function app.tg_memories__moment();

--! Restore: access_keys.sql
--! Restore: tenants.sql
--! Restore: memories.sql
