--! Rolls back: 000013-who-changed-the-schema-and-when.sql
--! Release before: fails, as app.schema_state() gives a row
--! Lost: ops.installation
--! Lost: ops.migration_runs

drop table ops.migration_runs, ops.installation;
drop schema ops;

drop function app.schema_state();
--! Restore: schema_state.sql
