--! Previous: sha1:a045ab3cf79df312f2b48784d507c89d972f015d
--! Hash: sha1:0ca359024fba372533ab39f915266dcbbf85d6c0
--! Message: who changed the schema, and when

-- What is known of this database beside what tenants store: which one it is, and who changed its schema when.
-- Not in brain: it is of no org, and the service reads it through app.schema_state() alone.
create schema ops;

create table ops.installation (
  id uuid primary key default gen_random_uuid(),
  created_at timestamptz not null default now()
);
insert into ops.installation default values;

create table ops.migration_runs (
  id int primary key generated always as identity,
  kind text not null check (kind in ('migrate', 'restore', 'rollback', 'develop')),
  from_migration text,
  to_migration text,
  began_at timestamptz not null default now(),
  ended_at timestamptz,
  result text not null default 'running' check (result in ('running', 'done', 'failed', 'interrupted')),
  detail text,
  backup text,
  without_backup boolean not null default false,
  before jsonb,
  after jsonb,
  catalog jsonb,
  catalog_hash text,
  server_major int,
  release text not null,
  done_by text not null default session_user,
  constraint migration_runs_ended_at_check check ((result = 'running') = (ended_at is null))
);

comment on table ops.installation is 'Which database this is: a copy and a restored backup keep the id.';
comment on table ops.migration_runs is 'Every run that changed the schema, or tried to. A run that is running and holds no lock was killed.';
comment on column ops.migration_runs.catalog is 'Each object of the schema by name, with the hash of what it was when the run ended.';

drop function app.schema_state();
--! Included schema_state.sql
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
--! EndIncluded schema_state.sql
