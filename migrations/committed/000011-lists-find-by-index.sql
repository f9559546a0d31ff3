--! Previous: sha1:0a5d3a1f7c76c8402a769baaa00663a86f5a2df1
--! Hash: sha1:f66bf0daa12f73ca79369521bb1921f2866ddbb7
--! Message: lists find by index

-- Lists find what is rare by an index: by category, state, artifact, source and tag. In the order of lists, so that a
-- page is the index's beginning.
create index memories_category_idx on brain.memories (org_id, space_id, category, created_at desc, id desc) include (state);
create index memories_state_idx on brain.memories (org_id, space_id, state, created_at desc, id desc)
  where state in ('paused', 'archived');
create index memories_artifact_type_idx on brain.memories (org_id, space_id, artifact_type, created_at desc, id desc)
  include (state) where artifact_type is not null;
create index memories_source_idx on brain.memories (org_id, space_id, source, created_at desc, id desc)
  include (state) where source <> 'user';

create table brain.memory_tags (
  org_id uuid not null,
  space_id int not null,
  memory_id uuid not null,
  key text not null,
  value_key bytea not null,
  is_active boolean not null,
  primary key (org_id, memory_id, key),
  foreign key (org_id, memory_id) references brain.memories (org_id, id) on delete cascade
);
comment on table brain.memory_tags is 'The tags of each memory that is not deleted. Written by a trigger alone.';
comment on column brain.memory_tags.value_key is 'app.tag_key() of the value as text.';
create index memory_tags_key_idx on brain.memory_tags (org_id, space_id, key, value_key, memory_id) include (is_active);

--! Included tags.sql
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
begin
  if tg_op = 'INSERT' then
    insert into brain.memory_tags (org_id, space_id, memory_id, key, value_key, is_active)
    select org_id, space_id, id, key, app.tag_key(value), state = 'active'
    from touched
    cross join lateral jsonb_each_text(tags)
    where state <> 'deleted';
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
--! EndIncluded tags.sql

insert into brain.memory_tags (org_id, space_id, memory_id, key, value_key, is_active)
select org_id, space_id, id, key, app.tag_key(value), state = 'active'
from brain.memories
cross join lateral jsonb_each_text(tags)
where state <> 'deleted';
