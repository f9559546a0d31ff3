--! Previous: sha1:af1e92c27d0e7bbb1584c07e29fae00c9e695f55
--! Hash: sha1:de836c54deb1fd6b3ca8bb079cddd4010290d5b0
--! Message: paused apps, recalls by memory

-- Paused apps write nothing; the log of recalls is found by memory; secrets are written one by one; the purge leaves
-- no org to the next time for ever.

-- Not gathered first (fastupdate): every reader would go through what is still to be sorted in, of all orgs.
create index memory_access_log_memory_ids_idx on brain.memory_access_log using gin (org_id, memory_ids)
  with (fastupdate = off);

-- What came through an app, by space: a walk by the app alone would go through spaces the caller cannot see.
create index memories_app_idx on brain.memories (org_id, space_id, app_id, created_at desc, id desc) include (state);

--! Included settings.sql
-- Settings of an org. Whoever is in it may read them, the secrets nobody; who may change them is a matter of scopes,
-- which the service asks for first.
alter table brain.settings enable row level security;
drop policy if exists own_org on brain.settings;
create policy own_org on brain.settings to brain_app
  using (org_id = (select app.current_org_id()))
  with check (org_id = (select app.current_org_id()));
revoke all on brain.settings from public, brain_app;
grant select (org_id, settings, secret_names, updated_at, updated_by), insert (settings, secrets), update (settings, secrets)
  on brain.settings to brain_app;

create or replace function app.tg_settings__touch() returns trigger
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Written over the others, which the service cannot read; null takes one away.
  new.secrets := jsonb_strip_nulls(case tg_op when 'UPDATE' then old.secrets || new.secrets else new.secrets end);
  new.secret_names := array(select jsonb_object_keys(new.secrets) order by 1);
  new.updated_at := now();
  new.updated_by := coalesce(app.current_sub(), new.updated_by);
  return new;
end
$$;
revoke all on function app.tg_settings__touch() from public, brain_app;
create or replace trigger _500_touch before insert or update on brain.settings
  for each row execute function app.tg_settings__touch();
--! EndIncluded settings.sql
--! Included recalls.sql
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
--! EndIncluded recalls.sql
--! Included paused.sql
-- An app that its owner has paused writes nothing more: not memories, not what is said of entities, not settings. Asked
-- of each statement by the tables themselves, so that no write can forget to. What goes on: reading, letting the app go
-- on, revoking a token, the sessions of streams. Raises BRN05.
create or replace function app.tg__refuse_paused() returns trigger
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (
    select from brain.apps
    where org_id = (select app.current_org_id()) and owner_id = (select app.current_user_id())
      and name = (select current_setting('app.current_app', true)) and not is_active
  ) then
    raise exception 'app paused' using errcode = 'BRN05';
  end if;
  return null;
end
$$;
revoke all on function app.tg__refuse_paused() from public, brain_app;

create or replace trigger _100_refuse_paused before insert or update or delete on brain.memories
  for each statement execute function app.tg__refuse_paused();
create or replace trigger _100_refuse_paused before insert or update or delete on brain.entities
  for each statement execute function app.tg__refuse_paused();
create or replace trigger _100_refuse_paused before insert or update or delete on brain.relations
  for each statement execute function app.tg__refuse_paused();
create or replace trigger _100_refuse_paused before insert or update or delete on brain.events
  for each statement execute function app.tg__refuse_paused();
create or replace trigger _100_refuse_paused before insert or update or delete on brain.event_entities
  for each statement execute function app.tg__refuse_paused();
create or replace trigger _100_refuse_paused before insert or update or delete on brain.entity_merges
  for each statement execute function app.tg__refuse_paused();
create or replace trigger _100_refuse_paused before insert or update or delete on brain.settings
  for each statement execute function app.tg__refuse_paused();
--! EndIncluded paused.sql
--! Included purge.sql
-- Takes away what has had its time: memories deleted 30 days ago (settings.retention.deleted_days), recalls older than
-- 90 (settings.retention.recall_days), idempotency keys after a day, sessions nobody has touched for a day, denied
-- tokens that have expired, and entities that nothing names any more. At most so many rows of each; gives how many
-- memories and recalls there were. An org at a time, so that every index begins where the work does; in any order and
-- for some seconds only, so that with many orgs none is always left to the next time.
-- Definer: it has no caller. Any number of processes may call it: rows another one takes are passed over.
create or replace function app.purge_expired(max_rows int) returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  enough constant interval := '5 seconds';
  purged int := 0;
  gone int;
  one record;
begin
  perform app.limit_time();
  for one in
    select orgs.org_id,
           make_interval(days => coalesce((settings #>> '{retention,deleted_days}')::int, 30)) as deleted_for,
           make_interval(days => coalesce((settings #>> '{retention,recall_days}')::int, 90)) as recalled_for
    from brain.orgs
    left join brain.settings using (org_id)
    order by random()
  loop
    exit when clock_timestamp() > now() + enough;
    delete from brain.memories
    where org_id = one.org_id and id in (
      select id from brain.memories
      where org_id = one.org_id and state = 'deleted' and deleted_at < now() - one.deleted_for
      order by deleted_at limit max_rows for update skip locked);
    get diagnostics gone = row_count;
    purged := purged + gone;

    delete from brain.memory_access_log
    where org_id = one.org_id and id in (
      select log.id from brain.spaces
      cross join lateral (
        select id from brain.memory_access_log
        where org_id = one.org_id and space_id = spaces.id and at < now() - one.recalled_for
        limit max_rows for update skip locked
      ) as log
      where spaces.org_id = one.org_id limit max_rows);
    get diagnostics gone = row_count;
    purged := purged + gone;

    delete from brain.idempotency_keys
    where org_id = one.org_id and (user_id, key) in (
      select user_id, key from brain.idempotency_keys
      where org_id = one.org_id and created_at < now() - interval '1 day' limit max_rows for update skip locked);
    delete from brain.mcp_sessions
    where org_id = one.org_id and id in (
      select id from brain.mcp_sessions
      where org_id = one.org_id and touched_at < now() - interval '1 day' limit max_rows for update skip locked);
    delete from brain.revoked_tokens
    where org_id = one.org_id and jti in (
      select jti from brain.revoked_tokens
      where org_id = one.org_id and expires_at < now() limit max_rows for update skip locked);

    -- A day old at least: a name that is about to be used has been made a moment ago.
    delete from brain.entities
    where org_id = one.org_id and (space_id, key) in (
      select space_id, key from brain.entities as idle
      where org_id = one.org_id and created_at < now() - interval '1 day'
        and not exists (select from brain.memory_entities as mention
                        where mention.org_id = one.org_id and mention.space_id = idle.space_id and mention.key = idle.key)
        and not exists (select from brain.relations
                        where org_id = one.org_id and space_id = idle.space_id and idle.key in (from_key, to_key))
        and not exists (select from brain.event_entities as part
                        where part.org_id = one.org_id and part.space_id = idle.space_id and part.key = idle.key)
        and not exists (select from brain.entity_merges as merge
                        where merge.org_id = one.org_id and merge.space_id = idle.space_id and merge.key = idle.key)
        and not exists (select from brain.entities as other
                        where other.org_id = one.org_id and other.space_id = idle.space_id and other.merged_into = idle.key)
        and merged_into is null
      limit max_rows for update skip locked);
  end loop;
  return purged;
end
$$;
comment on function app.purge_expired(int) is 'Takes away what has had its time. Called by the service each hour.';
revoke all on function app.purge_expired(int) from public, brain_app;
grant execute on function app.purge_expired(int) to brain_app;
--! EndIncluded purge.sql
