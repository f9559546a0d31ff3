--! Rolls back: 000020-callers-enter-by-an-index.sql
--! Release before: runs

--! Restore: tenants.sql
