-- What the service's readiness asks: its role can read neither graphile_migrate nor ops.
-- The hash is that of the catalog as the last run left it; null where that run ended at another migration, or no run is
-- known. src/ops/schema_objects.ts makes it; PostgreSQL prints expressions otherwise in another major version.
-- plpgsql, so that the body is not resolved before graphile-migrate has made its table.
create or replace function app.schema_state() returns table (migration text, catalog_hash text, server_major int)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    select newest.filename, run.catalog_hash, run.server_major
    from (select filename from graphile_migrate.migrations order by filename desc limit 1) as newest
    left join (
      select runs.to_migration, runs.catalog_hash, runs.server_major
      from ops.migration_runs as runs
      where runs.result = 'done'
      order by runs.id desc limit 1
    ) as run on run.to_migration = newest.filename;
end
$$;
comment on function app.schema_state() is 'File name of the newest applied migration, and what the catalog was when it was applied; no row while there is none.';
revoke all on function app.schema_state() from public, brain_app;
grant execute on function app.schema_state() to brain_app;
