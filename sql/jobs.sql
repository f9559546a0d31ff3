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
      -- An array is made once: what stands in an `in` may be looked for again for each row, and take more than the limit.
      where jobs.org_id = one.org_id and jobs.id = any (array(
        select due.id from brain.jobs as due
        where due.org_id = one.org_id and not is_dead and run_at <= now() and (taken_until is null or taken_until < now())
        order by run_at for update skip locked limit left_over))
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
