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
-- One plan for good, which looks each row up by its key: one that read all memories of the org for each recall was
-- taken for cheaper where they were a thousand, and took more than the answers that it told of.
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
  perform app.limit_time();
  insert into brain.memory_access_log (org_id, space_id, at, user_id, sub, app, kind, memory_ids)
  select person.org_id, shown.space_id, recall.at, person.id, recall.sub, recall.app, recall.kind, shown.ids
  from jsonb_to_recordset(recalls) as recall (org text, sub text, app text, kind text, at timestamptz, memory_ids uuid[])
  cross join lateral (
    select org_id, id from brain.users where org_id = app.org_key(recall.org) and users.sub = recall.sub limit 1
  ) as person
  cross join lateral (
    select memory.space_id, array_agg(recalled.id order by place) as ids
    from unnest(recall.memory_ids) with ordinality as recalled (id, place)
    cross join lateral (
      select space_id from brain.memories where org_id = person.org_id and memories.id = recalled.id limit 1
    ) as memory
    group by memory.space_id
  ) as shown;
  -- What was gathered for the index goes into it in one go, sorted, and before anybody reads it.
  perform gin_clean_pending_list('brain.memory_access_log_memory_ids_idx');
end
$$;
comment on function app.log_recalls(jsonb) is 'Appends to the log of recalls. Called by the service only.';
revoke all on function app.log_recalls(jsonb) from public, brain_app;
grant execute on function app.log_recalls(jsonb) to brain_app;

-- Which entries of the log are about a memory, newest first, at most so many: their ids alone. Whoever calls it reads
-- the entries again under the policy.
-- Definer: a policy lets no index on what an array holds be used, and without one every recall in the space would be
-- looked at. That index begins with org_id and the memory is one of the org's, so it tells of nobody else. It takes its
-- caller from the context and repeats the policy's predicate.
create or replace function app.recalls_of(memory uuid, max_rows int) returns table (id uuid)
language sql stable security definer
set search_path = pg_catalog, pg_temp
set enable_bitmapscan = on
as $$
  select id from brain.memory_access_log
  where org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[])
    and memory_ids @> array[memory]
  order by at desc, id desc
  limit max_rows
$$;
comment on function app.recalls_of(uuid, int) is 'Ids of the entries in the log of recalls that are about a memory, newest first.';
revoke all on function app.recalls_of(uuid, int) from public, brain_app;
grant execute on function app.recalls_of(uuid, int) to brain_app;
