--! Previous: sha1:7f40f9e8bd88266e75878315165c30675cc96227
--! Hash: sha1:246350e5b7876931e0dfbcba4c57a7fce3a0fdb0
--! Message: jobs and vectors

-- Jobs left for later, and what memories mean as vectors.

create table brain.jobs (
  org_id uuid not null,
  id uuid not null default gen_random_uuid(),
  kind text not null check (kind in ('embed')),
  sub text not null,
  space_id int not null,
  payload jsonb not null,
  attempts int not null default 0,
  created_at timestamptz not null default now(),
  run_at timestamptz not null default now(),
  taken_until timestamptz,
  last_error text,
  is_dead boolean not null default false,
  primary key (org_id, id),
  foreign key (org_id, space_id) references brain.spaces (org_id, id)
);
comment on table brain.jobs is 'Work that a write left for later: who wrote, in which space, and what is to be done.';
create index jobs_run_at_idx on brain.jobs (org_id, run_at) where not is_dead;

create table brain.embedding_spaces (
  org_id uuid not null,
  id int not null,
  model text not null check (char_length(model) between 1 and 256),
  dimensions int not null check (dimensions between 8 and 4096),
  state text not null check (state in ('active', 'filling', 'former')),
  created_at timestamptz not null default now(),
  primary key (org_id, id),
  foreign key (org_id) references brain.orgs (org_id)
);
comment on table brain.embedding_spaces is 'Models whose vectors an org holds: one in use, one being filled perhaps, and those of before.';
create unique index embedding_spaces_active_idx on brain.embedding_spaces (org_id) where state = 'active';

create table brain.memory_embeddings (
  org_id uuid not null default app.current_org_id(),
  space_id int not null,
  embedding_space int not null,
  memory_id uuid not null,
  code varbit not null,
  vector bytea not null,
  primary key (org_id, space_id, embedding_space, memory_id) include (code),
  foreign key (org_id, embedding_space) references brain.embedding_spaces (org_id, id),
  foreign key (org_id, memory_id) references brain.memories (org_id, id) on delete cascade
);
comment on table brain.memory_embeddings is 'A memory in an embedding space: the signs of its vector, a bit each, and the vector in steps of 1/127 of its largest part.';
create index memory_embeddings_memory_id_idx on brain.memory_embeddings (org_id, memory_id);

--! Included jobs.sql
-- Work that a write leaves for later: an outbox, filled in the write's transaction. No caller reads it; a worker takes
-- what is due and does it as the user who wrote, with a grant for the one space the work is about.

alter table brain.jobs enable row level security;
drop policy if exists nobody on brain.jobs;
create policy nobody on brain.jobs to brain_app
  using (org_id = (select app.current_org_id()) and false);
revoke all on brain.jobs from public, brain_app;

-- Takes up to so many jobs that are due, for five minutes each: a worker that is killed gives them back by that. Rows
-- that another worker takes just now are passed over. An org at a time, so that the index begins where the work does.
-- Definer: the jobs are nobody's to read.
create or replace function app.claim_jobs(max_jobs int) returns table (
  org text, id uuid, kind text, sub text, access_entity text, payload jsonb, attempts int
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  one record;
  left_over int := max_jobs;
  taken int;
begin
  perform app.limit_time();
  for one in select orgs.org_id, orgs.name from brain.orgs order by random() loop
    exit when left_over <= 0;
    return query
      update brain.jobs set taken_until = now() + interval '5 minutes', attempts = attempts + 1
      where (jobs.org_id, jobs.id) in (
        select due.org_id, due.id from brain.jobs as due
        where due.org_id = one.org_id and not is_dead and run_at <= now() and (taken_until is null or taken_until < now())
        order by run_at for update skip locked limit left_over)
      returning one.name, jobs.id, kind, jobs.sub, (
        select spaces.access_entity from brain.spaces where spaces.org_id = jobs.org_id and spaces.id = space_id
      ), payload, jobs.attempts;
    get diagnostics taken = row_count;
    left_over := left_over - taken;
  end loop;
end
$$;
comment on function app.claim_jobs(int) is 'Takes jobs that are due, for five minutes. Called by the service''s worker.';

-- A job is done: it goes. In the transaction of what it wrote, so that both are there or neither.
create or replace function app.finish_job(job uuid) returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$ delete from brain.jobs where org_id = (select app.current_org_id()) and id = job $$;
comment on function app.finish_job(uuid) is 'Removes a job of the caller''s org that is done.';

-- A job failed: it is due again after 10 s, 20 s, 40 s, up to an hour, and after ten times no more, until somebody says so.
create or replace function app.fail_job(of_org text, job uuid, error text) returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  update brain.jobs set
    taken_until = null,
    last_error = left(error, 256),
    is_dead = attempts >= 10,
    run_at = now() + least(interval '5 seconds' * 2 ^ attempts, interval '1 hour')
  where org_id = app.org_key(of_org) and id = job
$$;
comment on function app.fail_job(text, uuid, text) is 'Puts a job off, or to the dead ones. Called by the service''s worker.';

revoke all on function app.claim_jobs(int), app.finish_job(uuid), app.fail_job(text, uuid, text) from public, brain_app;
grant execute on function app.claim_jobs(int), app.finish_job(uuid), app.fail_job(text, uuid, text) to brain_app;
--! EndIncluded jobs.sql
--! Included embeddings.sql
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
    perform app.leave_to_embed(org_id, array_agg(id)) from rows_after group by org_id;
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
--! EndIncluded embeddings.sql
