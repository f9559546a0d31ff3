-- What memories mean, as vectors: an embedding space is a model and its dimensions, several of them side by side.

alter table brain.embedding_spaces enable row level security;
drop policy if exists own_org on brain.embedding_spaces;
create policy own_org on brain.embedding_spaces for select to brain_app
  using (org_id = (select app.current_org_id()));
revoke all on brain.embedding_spaces from public, brain_app;
grant select on brain.embedding_spaces to brain_app;

alter table brain.memory_embeddings enable row level security;
drop policy if exists within_spaces on brain.memory_embeddings;
create policy within_spaces on brain.memory_embeddings to brain_app
  using (org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[]))
  with check (org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[]));
revoke all on brain.memory_embeddings from public, brain_app;
grant select, insert (space_id, embedding_space, memory_id, code, vector) on brain.memory_embeddings to brain_app;

-- Leaves memories to be embedded, in every space that is in use or being filled: a job for each hundred of one space.
create or replace function app.leave_to_embed(of_org uuid, memory_ids uuid[], only_space int default null) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  insert into brain.jobs (org_id, kind, sub, space_id, payload)
  select of_org, 'embed', max(updated_by), space_id,
         jsonb_build_object('embedding_space', embedding_space, 'memory_ids', jsonb_agg(id))
  from (
    select memories.id, space_id, updated_by, embedding_spaces.id as embedding_space,
           row_number() over (partition by space_id, embedding_spaces.id order by memories.id) / 100 as portion
    from brain.memories
    join brain.embedding_spaces on embedding_spaces.org_id = of_org and embedding_spaces.state <> 'former'
      and (only_space is null or embedding_spaces.id = only_space)
    where memories.org_id = of_org and memories.id = any (memory_ids) and memories.state <> 'deleted'
  ) as portions
  group by space_id, embedding_space, portion
$$;

-- Definer: the service can neither leave jobs nor remove vectors.
create or replace function app.tg_memories__embed() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  stale uuid[];
  of uuid;
begin
  if tg_op = 'INSERT' then
    perform app.leave_to_embed(org_id, array_agg(id)) from rows_after
    where exists (select from brain.embedding_spaces where embedding_spaces.org_id = rows_after.org_id)
    group by org_id;
    return null;
  end if;
  for of, stale in
    select org_id, array_agg(id)
    from rows_before as before
    join rows_after as after using (org_id, id)
    where (before.space_id, before.content, before.state = 'deleted')
          is distinct from (after.space_id, after.content, after.state = 'deleted')
    group by org_id
  loop
    delete from brain.memory_embeddings where org_id = of and memory_id = any (stale);
    perform app.leave_to_embed(of, stale);
  end loop;
  return null;
end
$$;

create or replace trigger _670_embed_insert after insert on brain.memories
  referencing new table as rows_after for each statement execute function app.tg_memories__embed();
create or replace trigger _670_embed_update after update on brain.memories
  referencing old table as rows_before new table as rows_after for each statement execute function app.tg_memories__embed();

-- Makes the first space of every org that has none: in use at once, and what is stored already is left to be embedded.
-- Gives how many. Definer: it has no caller.
create or replace function app.open_embedding_spaces(of_model text, of_dimensions int) returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  opened uuid;
  count int := 0;
begin
  perform app.limit_time();
  for opened in
    insert into brain.embedding_spaces (org_id, id, model, dimensions, state)
    select org_id, 1, of_model, of_dimensions, 'active' from brain.orgs
    where not exists (select from brain.embedding_spaces as known where known.org_id = orgs.org_id)
    order by org_id limit 100
    on conflict do nothing
    returning org_id
  loop
    count := count + 1;
    perform app.leave_to_embed(opened, array(select id from brain.memories where org_id = opened and state <> 'deleted'));
  end loop;
  return count;
end
$$;
comment on function app.open_embedding_spaces(text, int) is 'Makes the first embedding space of orgs that have none. Called by the service''s worker.';

revoke all on function app.leave_to_embed(uuid, uuid[], int), app.tg_memories__embed(),
  app.open_embedding_spaces(text, int) from public, brain_app;
grant execute on function app.open_embedding_spaces(text, int) to brain_app;
