-- Who recalled which memories: a row per answer and space. Whoever sees the memories sees that they were recalled.
alter table brain.memory_access_log enable row level security;
drop policy if exists within_spaces on brain.memory_access_log;
create policy within_spaces on brain.memory_access_log for select to brain_app
  using (org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[]));
revoke all on brain.memory_access_log from public, brain_app;
grant select on brain.memory_access_log to brain_app;

-- Writes what the service has gathered of recalls: [{org, sub, app, kind, at, memory_ids}]. A recalled memory that has
-- gone since is left out; one that was moved is told of where it is now.
-- Definer: it writes for many callers at once and has no context. It takes nothing that would open anything.
create or replace function app.log_recalls(recalls jsonb) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform app.limit_time();
  insert into brain.memory_access_log (org_id, space_id, at, user_id, sub, app, kind, memory_ids)
  select users.org_id, memories.space_id, recall.at, users.id, recall.sub, recall.app, recall.kind,
         array_agg(memories.id order by place)
  from rows from (
    jsonb_to_recordset(recalls) as (org text, sub text, app text, kind text, at timestamptz, memory_ids uuid[])
  ) with ordinality as recall (org, sub, app, kind, at, memory_ids, number)
  join brain.users on users.org_id = app.org_key(recall.org) and users.sub = recall.sub
  cross join unnest(recall.memory_ids) with ordinality as recalled (id, place)
  join brain.memories on memories.org_id = users.org_id and memories.id = recalled.id
  group by users.org_id, users.id, memories.space_id, recall.number, recall.at, recall.sub, recall.app, recall.kind;
end
$$;
comment on function app.log_recalls(jsonb) is 'Appends to the log of recalls. Called by the service only.';
revoke all on function app.log_recalls(jsonb) from public, brain_app;
grant execute on function app.log_recalls(jsonb) to brain_app;
