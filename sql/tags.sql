-- Which memories have which tag, so that a list by a rare one does not look at every row: what a jsonb holds can be
-- asked for by an index of its own under no policy. Derived from the memory in the write's transaction.
alter table brain.memory_tags enable row level security;
drop policy if exists within_spaces on brain.memory_tags;
create policy within_spaces on brain.memory_tags for select to brain_app
  using (org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[]));
revoke all on brain.memory_tags from public, brain_app;
grant select on brain.memory_tags to brain_app;

-- What stands for a tag's value: it may be too long for an index.
create or replace function app.tag_key(value text) returns bytea
language sql immutable strict parallel safe
as $$ select decode(md5(value), 'hex') $$;
comment on function app.tag_key(text) is 'What stands for the value of a tag in an index.';
revoke all on function app.tag_key(text) from public, brain_app;
grant execute on function app.tag_key(text) to brain_app;

-- Definer: the service may write no tag by itself.
create or replace function app.tg_memories__tag() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  gone record;
begin
  if tg_op = 'INSERT' then
    insert into brain.memory_tags (org_id, space_id, memory_id, key, value_key, is_active)
    select org_id, space_id, id, key, app.tag_key(value), state = 'active'
    from touched
    cross join lateral jsonb_each_text(tags)
    where state <> 'deleted';
    return null;
  end if;
  if tg_op = 'DELETE' then
    for gone in select org_id, id from touched loop
      delete from brain.memory_tags where org_id = gone.org_id and memory_id = gone.id;
    end loop;
    return null;
  end if;

  delete from brain.memory_tags
  using rows_before as before, rows_after as after
  where before.org_id = after.org_id and before.id = after.id
    and (before.tags <> after.tags or before.space_id <> after.space_id or before.state <> after.state)
    and memory_tags.org_id = after.org_id and memory_id = after.id;

  insert into brain.memory_tags (org_id, space_id, memory_id, key, value_key, is_active)
  select after.org_id, after.space_id, id, key, app.tag_key(value), after.state = 'active'
  from rows_before as before
  join rows_after as after using (org_id, id)
  cross join lateral jsonb_each_text(after.tags)
  where after.state <> 'deleted'
    and (before.tags <> after.tags or before.space_id <> after.space_id or before.state <> after.state);
  return null;
end
$$;
revoke all on function app.tg_memories__tag() from public, brain_app;

create or replace trigger _660_tag_insert after insert on brain.memories
  referencing new table as touched for each statement execute function app.tg_memories__tag();
create or replace trigger _660_tag_update after update on brain.memories
  referencing old table as rows_before new table as rows_after for each statement execute function app.tg_memories__tag();
create or replace trigger _660_tag_delete after delete on brain.memories
  referencing old table as touched for each statement execute function app.tg_memories__tag();
