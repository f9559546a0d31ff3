-- Who is asking. The settings live for one transaction and only app.enter() sets them; none set means no rows.
-- All stable: an immutable one would be folded into a prepared plan and answer for the next caller too.
create or replace function app.current_org_id() returns uuid
language sql stable parallel safe
as $$ select nullif(current_setting('app.current_org_id', true), '')::uuid $$;

create or replace function app.current_user_id() returns uuid
language sql stable parallel safe
as $$ select nullif(current_setting('app.current_user_id', true), '')::uuid $$;

create or replace function app.current_sub() returns text
language sql stable parallel safe
as $$ select nullif(current_setting('app.current_sub', true), '') $$;

-- Of what a request is told in the audit, and in nothing that decides.
create or replace function app.current_app() returns text
language sql stable parallel safe
as $$ select nullif(current_setting('app.current_app', true), '') $$;

create or replace function app.current_request_id() returns text
language sql stable parallel safe
as $$ select nullif(current_setting('app.current_request_id', true), '') $$;

create or replace function app.current_spaces() returns int[]
language sql stable parallel safe
as $$ select coalesce(nullif(current_setting('app.current_spaces', true), ''), '{}')::int[] $$;

revoke all on schema brain, app from public, brain_app;
grant usage on schema brain, app to brain_app;
revoke all on function app.current_org_id(), app.current_user_id(), app.current_sub(), app.current_spaces(),
  app.current_app(), app.current_request_id()
  from public, brain_app;
grant execute on function app.current_org_id(), app.current_user_id(), app.current_sub(), app.current_spaces()
  to brain_app;
