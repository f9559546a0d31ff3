-- How many memories a space holds of each state, category, app, source and artifact type: each write tells what it has
-- added and taken away, and the sum is what counts. For totals that would else count up to 10,000 rows a request, and
-- for what a search weighs its words by. Deleted memories are not counted.

alter table brain.space_sizes enable row level security;
drop policy if exists within_spaces on brain.space_sizes;
create policy within_spaces on brain.space_sizes for select to brain_app
  using (org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[]));
revoke all on brain.space_sizes from public, brain_app;
grant select on brain.space_sizes to brain_app;

-- Adds up what many writes have told of a space, so that a request has few rows to read. Rows that another writer adds up
-- just now are passed over: nobody waits.
create or replace function app.add_up_sizes(of_org uuid, of_space int) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  with told as (
    delete from brain.space_sizes
    where org_id = of_org and space_id = of_space and id = any (array(
      select id from brain.space_sizes
      where org_id = of_org and space_id = of_space
        and (not is_sum or (state, category, app_id, source, coalesce(artifact_type, '')) in (
          select state, category, app_id, source, coalesce(artifact_type, '') from brain.space_sizes
          where org_id = of_org and space_id = of_space and not is_sum))
      for update skip locked))
    returning *
  )
  insert into brain.space_sizes (org_id, space_id, state, category, app_id, app, source, artifact_type, memories, is_sum)
  select of_org, of_space, state, category, app_id, app, source, artifact_type, sum(memories), true
  from told
  group by state, category, app_id, app, source, artifact_type
  having sum(memories) <> 0
$$;

-- Definer: the service may tell no sizes by itself.
create or replace function app.tg_memories__sizes() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  many_told constant int := 64;
begin
  if tg_op = 'INSERT' then
    insert into brain.space_sizes (org_id, space_id, state, category, app_id, app, source, artifact_type, memories)
    select org_id, space_id, state, category, app_id, app, source, artifact_type, count(*)
    from rows_after
    where state <> 'deleted'
    group by org_id, space_id, state, category, app_id, app, source, artifact_type;
  elsif tg_op = 'DELETE' then
    insert into brain.space_sizes (org_id, space_id, state, category, app_id, app, source, artifact_type, memories)
    select org_id, space_id, state, category, app_id, app, source, artifact_type, -count(*)
    from rows_before
    where state <> 'deleted'
    group by org_id, space_id, state, category, app_id, app, source, artifact_type;
    return null;
  else
    insert into brain.space_sizes (org_id, space_id, state, category, app_id, app, source, artifact_type, memories)
    select org_id, space_id, state, category, app_id, app, source, artifact_type, sum(count)
    from (
      select org_id, space_id, state, category, app_id, app, source, artifact_type, 1 as count from rows_after
      union all
      select org_id, space_id, state, category, app_id, app, source, artifact_type, -1 from rows_before
    ) as counted
    where state <> 'deleted'
    group by org_id, space_id, state, category, app_id, app, source, artifact_type
    having sum(count) <> 0;
  end if;
  perform app.add_up_sizes(org_id, space_id)
  from (select distinct org_id, space_id from rows_after) as spaces
  where (select count(*) from brain.space_sizes
         where space_sizes.org_id = spaces.org_id and space_sizes.space_id = spaces.space_id and not is_sum) > many_told;
  return null;
end
$$;

create or replace trigger _665_sizes_insert after insert on brain.memories
  referencing new table as rows_after for each statement execute function app.tg_memories__sizes();
create or replace trigger _665_sizes_update after update on brain.memories
  referencing old table as rows_before new table as rows_after for each statement execute function app.tg_memories__sizes();
create or replace trigger _665_sizes_delete after delete on brain.memories
  referencing old table as rows_before for each statement execute function app.tg_memories__sizes();

revoke all on function app.add_up_sizes(uuid, int), app.tg_memories__sizes() from public, brain_app;
