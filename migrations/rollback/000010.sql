--! Rolls back: 000010-mentions-of-many-at-once.sql
--! Release before: runs

--! Restore: entities.sql
