--! Rolls back: 000012-callers-do-not-wait-for-a-compiler.sql
--! Release before: runs

--! Restore: tenants.sql
