-- The newest migration this database has, for the service's readiness: its role cannot read graphile_migrate.
-- plpgsql, so that the body is not resolved before graphile-migrate has made its table.
create or replace function app.schema_state() returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return (select filename from graphile_migrate.migrations order by filename desc limit 1);
end
$$;
comment on function app.schema_state() is 'File name of the newest applied migration, null while there is none.';
revoke all on function app.schema_state() from public, brain_app;
grant execute on function app.schema_state() to brain_app;
