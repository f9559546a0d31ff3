-- Memories: one rule for reading and writing, the columns the service may set, and what every change touches.

alter table brain.memories enable row level security;

drop policy if exists within_spaces on brain.memories;
create policy within_spaces on brain.memories to brain_app
  using (org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[]))
  with check (org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[]));

-- org_id, owner_id, owner and the times come from the context and the clock: nobody can write them.
-- No delete: a memory is deleted by its state.
revoke all on brain.memories from public, brain_app;
grant select,
  insert (id, space_id, app_id, app, content, category, artifact_type, artifact_ref, entities, thread, evidence, tags,
          code_refs, source, metadata, supersedes, state),
  update (space_id, content, category, artifact_type, artifact_ref, entities, thread, evidence, tags, code_refs,
          source, metadata, supersedes, state)
  on brain.memories to brain_app;

-- When a memory was stored. The start of its transaction, so that the rows of a batch are of one moment; with app.in_order,
-- which an import sets, the clock, so that thousands of one transaction keep the order they came in. One that is stored
-- archived or deleted, as only an import does, became so at the moment it was stored.
create or replace function app.tg_memories__moment() returns trigger
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  if app.current_sub() is null then
    return new; -- the owner's own migrations and restores say it themselves
  end if;
  if current_setting('app.in_order', true) = 'on' then
    new.created_at := clock_timestamp();
    new.updated_at := new.created_at;
  end if;
  new.archived_at := case when new.state = 'archived' then new.created_at end;
  new.deleted_at := case when new.state = 'deleted' then new.created_at end;
  return new;
end
$$;
revoke all on function app.tg_memories__moment() from public, brain_app;

create or replace trigger _300_moment before insert on brain.memories
  for each row when (new.state <> 'active' or current_setting('app.in_order', true) = 'on')
  execute function app.tg_memories__moment();

create or replace function app.tg_memories__touch() returns trigger
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  new.revision := old.revision + 1;
  -- The clock, not now(): after waiting for another's change the transaction's start may lie before that one.
  new.updated_at := greatest(clock_timestamp(), old.updated_at + interval '1 microsecond');
  new.updated_by := coalesce(app.current_sub(), new.updated_by); -- the owner's own migrations have no caller
  new.archived_at := case when new.state = 'archived' then coalesce(old.archived_at, now()) end;
  new.deleted_at := case when new.state = 'deleted' then coalesce(old.deleted_at, now()) end;
  return new;
end
$$;
revoke all on function app.tg_memories__touch() from public, brain_app;

-- A memory replaces an older one that its writer can see: whoever writes it, the row is looked for under the policy,
-- which a foreign key would not ask. Older, so that no two replace each other and both would be hidden.
-- Raises BRN03 where there is none, BRN04 where it is not older.
create or replace function app.tg_memories__supersede() returns trigger
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  older brain.memories;
begin
  select * into older from brain.memories
  where org_id = new.org_id and id = new.supersedes and state <> 'deleted';
  if not found then
    raise exception 'nothing there to supersede' using errcode = 'BRN03';
  end if;
  if (older.created_at, older.id) >= (new.created_at, new.id) then
    raise exception 'what is superseded must be older' using errcode = 'BRN04';
  end if;
  return new;
end
$$;
revoke all on function app.tg_memories__supersede() from public, brain_app;

create or replace trigger _400_supersede_insert before insert on brain.memories
  for each row when (new.supersedes is not null) execute function app.tg_memories__supersede();
create or replace trigger _400_supersede_update before update on brain.memories
  for each row when (new.supersedes is not null and new.supersedes is distinct from old.supersedes)
  execute function app.tg_memories__supersede();

create or replace trigger _500_touch before update on brain.memories
  for each row execute function app.tg_memories__touch();

-- What a memory was goes into its history in the same transaction, with the space it was in.
-- Definer: the service may add nothing to the history by itself.
create or replace function app.tg_memories__keep_revision() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into brain.memory_revisions (org_id, memory_id, revision, space_id, content, fields, state, updated_at, updated_by)
  values (old.org_id, old.id, old.revision, old.space_id, old.content,
          json_build_object(
            'category', old.category, 'artifact_type', old.artifact_type, 'artifact_ref', old.artifact_ref,
            'entities', old.entities, 'thread', old.thread, 'evidence', old.evidence, 'tags', old.tags,
            'code_refs', old.code_refs, 'source', old.source, 'metadata', old.metadata),
          old.state, old.updated_at, old.updated_by);
  return null;
end
$$;
revoke all on function app.tg_memories__keep_revision() from public, brain_app;

create or replace trigger _600_keep_revision after update on brain.memories
  for each row execute function app.tg_memories__keep_revision();

alter table brain.memory_revisions enable row level security;
drop policy if exists within_spaces on brain.memory_revisions;
create policy within_spaces on brain.memory_revisions for select to brain_app
  using (org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[]));

revoke all on brain.memory_revisions from public, brain_app;
grant select on brain.memory_revisions to brain_app;
