--! Previous: sha1:8572dc5ba2a6cb68ada8e01d66677d45143ee917
--! Hash: sha1:31802410a8119cdb7eef206625026da03abec204
--! Message: sizes by what lists ask for

-- What a space holds, also by state, category, app, source and artifact type: what a list's total is added up from.
--! expect space_sizes: any rewrites: *
alter table brain.space_sizes
  add column state text,
  add column category text,
  add column app_id uuid,
  add column app text,
  add column source text,
  add column artifact_type text,
  add column is_sum boolean not null default false;
delete from brain.space_sizes;
insert into brain.space_sizes (org_id, space_id, state, category, app_id, app, source, artifact_type, memories, is_sum)
select org_id, space_id, state, category, app_id, app, source, artifact_type, count(*), true
from brain.memories
where state <> 'deleted'
group by org_id, space_id, state, category, app_id, app, source, artifact_type;
alter table brain.space_sizes
  alter column state set not null,
  alter column category set not null,
  alter column app_id set not null,
  alter column app set not null,
  alter column source set not null;
comment on table brain.space_sizes is 'How many memories a space holds, told by each write: the sums are what counts.';
comment on column brain.space_sizes.is_sum is 'Whether it is added up of what writes have told.';
create index space_sizes_told_idx on brain.space_sizes (org_id, space_id) where not is_sum;

--! Included terms.sql
-- What search by words reads: the terms of each memory, and how its words are spelt. Both belong to a space, follow its
-- rule, and are written by triggers in the transaction of the write.
--
-- Every index begins with org and space. Reading a term walks the caller's own memories that have it and no others: a
-- GIN index on the words held every tenant's, and a word in 50,000 rows of a colleague took 33 ms, one that nobody uses 7.

alter table brain.memory_terms enable row level security;
drop policy if exists within_spaces on brain.memory_terms;
create policy within_spaces on brain.memory_terms for select to brain_app
  using (org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[]));

alter table brain.space_words enable row level security;
drop policy if exists within_spaces on brain.space_words;
create policy within_spaces on brain.space_words for select to brain_app
  using (org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[]));

revoke all on brain.memory_terms, brain.space_words from public, brain_app;
grant select on brain.memory_terms, brain.space_words to brain_app;

-- What a text is found by. `words`, and in `counts` how often each is there: the English stems of its words; each symbol as it
-- stands, in lower case, with its last step (door.ts of src/http/door.ts) and what its dots and colons part (a_b of
-- x.a_b); and the stems of a symbol's parts. `spellings`: its words and symbols in lower case, 4 to 64 characters each,
-- what a misspelt word is compared with.
-- A symbol is words joined by signs, with an underscore, or with an upper case letter after a lower one.
create or replace function app.words_in(said text, out words text[], out counts int[], out spellings text[])
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  symbols constant text[] := array(
    select matched[1]
    from regexp_matches(said, '\w+(?:[-./\\:#@]+\w+)+|\w*_\w*|\w*[a-z0-9][A-Z]\w*', 'g') as matched
    where octet_length(matched[1]) between 3 and 256);
  split text := translate(said, '_./\-:#@', '        ');
  pieces text[] := '{}';
begin
  if cardinality(symbols) > 0 then
    split := split || ' ' || array_to_string(array(
      select regexp_replace(regexp_replace(translate(symbol, '_./\-:#@', '        '),
                                           '([a-z0-9])([A-Z])', '\1 \2', 'g'), '([A-Z])([A-Z][a-z])', '\1 \2', 'g')
      from unnest(symbols) as symbol
      where symbol ~ '[a-z0-9][A-Z]'), ' ');
    pieces := array(
      select lower(piece)
      from unnest(symbols) as symbol
      cross join lateral (
        select symbol as piece
        union
        select substring(symbol from '[^/\\]+$')
        union
        select regexp_split_to_table(symbol, '[./\\:#@]+')
      ) as pieces
      where symbol ~ '[^[:alnum:]]' and piece ~ '[^[:alnum:]]');
  end if;

  -- Most texts have no symbols, and what only symbols need takes half of the time.
  if cardinality(symbols) = 0 then
    select array_agg(lexeme), array_agg(cardinality(positions)) into words, counts
    from unnest(to_tsvector('english', split)) as stems (lexeme, positions, weights);
    spellings := array(
      select lexeme from unnest(tsvector_to_array(to_tsvector('simple', split))) as lexeme
      where char_length(lexeme) between 4 and 64);
    return;
  end if;

  select array_agg(word), array_agg(count) into words, counts
  from (
    select lexeme as word, cardinality(positions) as count
    from unnest(to_tsvector('english', split)) as stems (lexeme, positions, weights)
    union all
    select piece, count(*)::int from unnest(pieces) as piece group by piece
  ) as counted;
  spellings := array(
    select lexeme
    from unnest(to_tsvector('simple', split)) as spelt (lexeme, positions, weights)
    where char_length(lexeme) between 4 and 64
    union
    select lower(symbol) from unnest(symbols) as symbol where char_length(symbol) between 4 and 64);
end
$$;
comment on function app.words_in(text) is 'The terms of a text with how often each is in it, and how its words are spelt.';

-- What of a memory is found by words.
create or replace function app.said_by(memory brain.memories) returns text
language sql stable parallel safe
as $$
  select concat_ws(E'\n', memory.content, memory.artifact_ref, array_to_string(memory.entities, E'\n'),
                   array_to_string(memory.evidence, E'\n'), (
                     select string_agg(concat_ws(E'\n', ref ->> 'path', ref ->> 'symbol'), E'\n')
                     from jsonb_array_elements(memory.code_refs) as ref))
$$;

revoke all on function app.words_in(text), app.said_by(brain.memories) from public, brain_app;
grant execute on function app.words_in(text) to brain_app;

-- Writes the terms of memories that have none yet. Sorted, for the sake of the indices, and so that two writers with
-- the same new words do not wait for each other. Called by the trigger below, and by migrations.
create or replace function app.add_terms(memories brain.memories[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  -- BM25 (Robertson and Zaragoza 2009) with the length measured against a fixed one instead of the average: no write
  -- and no neighbour changes what a memory has earned, and a search adds up what is there. The more a text says, the
  -- less one mention of a word tells: with 60 words a first one earns half, with 300 two sevenths. On LoCoMo's turns,
  -- its whole sessions and a mixture it found as much as the better of b 0.4 and b 0.75, each of which lost on one.
  pivot constant float8 := 100;
  usual constant float8 := 160; -- pivot and 60 words
begin
  with told as materialized (
    select org_id, space_id, id, words, counts, spellings
    from unnest(memories) as memory
    cross join lateral app.words_in(app.said_by(memory::brain.memories))
    where state <> 'deleted'
  ),
  added as (
    insert into brain.memory_terms (org_id, space_id, term, memory_id, earned)
    select org_id, space_id, term, id,
           frequency / (frequency + (pivot + sum(frequency) over (partition by id)) / usual)
    from told
    cross join lateral unnest(words, counts) as counted (term, frequency)
    order by org_id, space_id, term, id
  )
  insert into brain.space_words (org_id, space_id, word)
  select distinct org_id, space_id, word
  from told
  cross join lateral unnest(spellings) as word
  order by org_id, space_id, word
  on conflict do nothing;
end
$$;

-- Takes the terms of memories away again, as they were, and the spellings that no memory of their space has any more.
create or replace function app.remove_terms(memories brain.memories[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  with told as materialized (
    select org_id, space_id, id, words
    from unnest(memories) as memory
    cross join lateral app.words_in(app.said_by(memory::brain.memories))
    where state <> 'deleted'
  )
  delete from brain.memory_terms
  using told
  where memory_terms.org_id = told.org_id and memory_terms.space_id = told.space_id
    and term = any (words) and memory_id = told.id;

  delete from brain.space_words
  using (
    select distinct org_id, space_id, word
    from unnest(memories) as memory
    cross join lateral app.words_in(app.said_by(memory::brain.memories))
    cross join lateral unnest(spellings) as word
    where state <> 'deleted'
  ) as spelt
  where space_words.org_id = spelt.org_id and space_words.space_id = spelt.space_id and space_words.word = spelt.word
    and not exists (
      select from brain.memory_terms
      where memory_terms.org_id = spelt.org_id and memory_terms.space_id = spelt.space_id
        and term = any (array(select unnest(words) from app.words_in(spelt.word))));
end
$$;

-- Definer: the service may write no terms by itself.
create or replace function app.tg_memories__terms() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  before brain.memories[];
  after brain.memories[];
begin
  if tg_op = 'INSERT' then
    after := array(select rows_after::brain.memories from rows_after);
  elsif tg_op = 'DELETE' then
    before := array(select rows_before::brain.memories from rows_before where state <> 'deleted');
  else
    select array_agg(rows_before::brain.memories), array_agg(rows_after::brain.memories) into before, after
    from rows_before
    join rows_after using (org_id, id)
    where (rows_before.space_id, rows_before.state = 'deleted', app.said_by(rows_before::brain.memories))
          is distinct from (rows_after.space_id, rows_after.state = 'deleted', app.said_by(rows_after::brain.memories));
  end if;

  if cardinality(before) > 0 then
    perform app.remove_terms(before);
  end if;
  if cardinality(after) > 0 then
    perform app.add_terms(after);
  end if;
  return null;
end
$$;

create or replace trigger _660_terms_insert after insert on brain.memories
  referencing new table as rows_after for each statement execute function app.tg_memories__terms();
create or replace trigger _660_terms_update after update on brain.memories
  referencing old table as rows_before new table as rows_after for each statement execute function app.tg_memories__terms();
create or replace trigger _660_terms_delete after delete on brain.memories
  referencing old table as rows_before for each statement execute function app.tg_memories__terms();

revoke all on function app.add_terms(brain.memories[]), app.remove_terms(brain.memories[]), app.tg_memories__terms()
  from public, brain_app;
--! EndIncluded terms.sql
--! Included sizes.sql
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
--! EndIncluded sizes.sql
--! Included purge.sql
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
--! EndIncluded purge.sql
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
--! EndIncluded jobs.sql
