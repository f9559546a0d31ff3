--! Rolls back: 000014-callers-enter-at-once.sql
--! Release before: runs

--! Restore: tenants.sql
--! Restore: recalls.sql
--! Restore: terms.sql
--! Restore: entities.sql
--! Restore: embeddings.sql
