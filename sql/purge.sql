-- Takes away what has had its time: memories deleted 30 days ago (settings.retention.deleted_days), recalls older than
-- 90 (settings.retention.recall_days), idempotency keys after a day, sessions nobody has touched for a day, denied
-- tokens that have expired, and entities that nothing names any more. At most so many rows of each; gives how many
-- memories and recalls there were. An org at a time, so that every index begins where the work does; in any order and
-- for some seconds only, so that with many orgs none is always left to the next time.
-- What goes is gathered first, as an array: what stands in an `in` may be looked for again for each row of the table, a
-- limit for each anew. With 2,560 recalls that nobody had analyzed yet it took 6 s.
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
    where org_id = one.org_id and id = any (array(
      select id from brain.memories
      where org_id = one.org_id and state = 'deleted' and deleted_at < now() - one.deleted_for
      order by deleted_at limit max_rows for update skip locked));
    get diagnostics gone = row_count;
    purged := purged + gone;

    delete from brain.memory_access_log
    where org_id = one.org_id and id = any (array(
      select log.id from brain.spaces
      cross join lateral (
        select id from brain.memory_access_log
        where org_id = one.org_id and space_id = spaces.id and at < now() - one.recalled_for
        limit max_rows for update skip locked
      ) as log
      where spaces.org_id = one.org_id limit max_rows));
    get diagnostics gone = row_count;
    purged := purged + gone;

    delete from brain.idempotency_keys
    where ctid = any (array(
      select ctid from brain.idempotency_keys
      where org_id = one.org_id and created_at < now() - interval '1 day' limit max_rows for update skip locked));
    delete from brain.mcp_sessions
    where org_id = one.org_id and id = any (array(
      select id from brain.mcp_sessions
      where org_id = one.org_id and touched_at < now() - interval '1 day' limit max_rows for update skip locked));
    delete from brain.revoked_tokens
    where org_id = one.org_id and jti = any (array(
      select jti from brain.revoked_tokens
      where org_id = one.org_id and expires_at < now() limit max_rows for update skip locked));

    -- A day old at least: a name that is about to be used has been made a moment ago.
    delete from brain.entities
    where ctid = any (array(
      select ctid from brain.entities as idle
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
      limit max_rows for update skip locked));
  end loop;
  return purged;
end
$$;
comment on function app.purge_expired(int) is 'Takes away what has had its time. Called by the service each hour.';
revoke all on function app.purge_expired(int) from public, brain_app;
grant execute on function app.purge_expired(int) to brain_app;
