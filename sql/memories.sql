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
          code_refs, source, metadata),
  update (space_id, content, category, artifact_type, artifact_ref, entities, thread, evidence, tags, code_refs,
          source, metadata, state)
  on brain.memories to brain_app;

create or replace function app.tg_memories__touch() returns trigger
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  new.revision := old.revision + 1;
  -- The clock, not now(): after waiting for another's change the transaction's start may lie before that one.
  new.updated_at := greatest(clock_timestamp(), old.updated_at + interval '1 microsecond');
  new.archived_at := case when new.state = 'archived' then coalesce(old.archived_at, now()) end;
  new.deleted_at := case when new.state = 'deleted' then coalesce(old.deleted_at, now()) end;
  return new;
end
$$;
revoke all on function app.tg_memories__touch() from public, brain_app;

create or replace trigger _500_touch before update on brain.memories
  for each row execute function app.tg_memories__touch();
