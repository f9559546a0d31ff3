-- What belongs to the server rather than to a migration. `brain migrate` and `graphile-migrate reset` run it as the
-- server's administrator, in the new database; any number of times.
do $$
begin
  create role brain_app nologin nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
exception
  when duplicate_object or unique_violation then null; -- there already, or made by another session just now
end
$$;

-- No temporary tables for the service, and nobody else in at all.
revoke all on database ":DATABASE_NAME" from public;
grant connect on database ":DATABASE_NAME" to brain_app;
