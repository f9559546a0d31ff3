--! Previous: sha1:0ca359024fba372533ab39f915266dcbbf85d6c0
--! Hash: sha1:8572dc5ba2a6cb68ada8e01d66677d45143ee917
--! Message: callers enter at once

-- A caller's grants are looked at once, not for each space of the org; recalls are written by looking up what they name;
-- and what is derived from a memory is looked up and split in fewer steps.

--! Included tenants.sql
-- Orgs, users, spaces, apps and revoked tokens: their policies and grants, and the two doors that open a request.

-- An org's key is made from its name, so that no unique key spans orgs and every table can be distributed by org_id.
create or replace function app.org_key(name text) returns uuid
language sql stable strict parallel safe
as $$ select substr(encode(sha256(convert_to(name, 'UTF8')), 'hex'), 1, 32)::uuid $$;
comment on function app.org_key(text) is 'The org_id of an org name: the first 16 bytes of its SHA-256.';

-- The grants that count for a user: those of the token, less other users' own spaces, and the user's own.
create or replace function app.held_grants(token_sub text, grants text[]) returns text[]
language sql immutable parallel safe
as $$ select array_append(array(select held from unnest(grants) as held where not starts_with(held, 'user:')), 'user:' || token_sub) $$;

-- A statement that waits or works too long ends, whoever sent it. Set with the transaction rather than on the role or
-- the connection: right behind any pooler, whoever made the role.
create or replace function app.limit_time() returns void
language sql volatile
as $$
  select set_config('statement_timeout', '15s', true),
         set_config('lock_timeout', '5s', true),
         set_config('idle_in_transaction_session_timeout', '15s', true)
$$;

-- The first statement of every transaction of a caller. It only reads, so that it works in a read only one.
-- Definer: it looks up the user, the denylist and the spaces before there is a context that would show them.
-- Answers false, and sets nothing, for a user not seen before; raises BRN01 for a revoked token.
create or replace function app.enter(
  token_org text, token_sub text, token_jti text, grants text[], app_name text default '', request_id text default ''
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  caller_org constant uuid := app.org_key(token_org);
  held constant text[] := app.held_grants(token_sub, grants); -- here: in the query below it would be made for each space
  caller_id uuid;
  is_revoked boolean;
begin
  if app.current_user_id() is not null then
    raise exception 'app.enter() runs once in a transaction';
  end if;
  -- A token without a name could not be revoked.
  if coalesce(token_jti, '') = '' then
    raise exception 'app.enter() needs the jti of a token';
  end if;

  select exists (select from brain.revoked_tokens where org_id = caller_org and jti = token_jti), (
           select users.id
           from brain.orgs
           join brain.users using (org_id)
           where orgs.org_id = caller_org and orgs.name = token_org and users.sub = token_sub)
  into is_revoked, caller_id;
  if is_revoked then
    raise exception 'token revoked' using errcode = 'BRN01';
  end if;
  if caller_id is null then
    return false;
  end if;

  perform app.limit_time(),
          set_config('app.current_org_id', caller_org::text, true),
          set_config('app.current_user_id', caller_id::text, true),
          set_config('app.current_sub', token_sub, true),
          set_config('app.current_app', app_name, true),
          set_config('app.current_request_id', request_id, true),
          set_config('app.current_spaces', (
            select coalesce(array_agg(id), '{}')::text
            from brain.spaces
            where org_id = caller_org and access_keys && held
          ), true),
          set_config('TimeZone', 'UTC', true),
          -- A plan must not walk the rows of spaces the caller cannot see, whatever the statistics suggest: a list of
          -- 30 rows beside a colleague's 100,000 took 100 ms by a seq or bitmap scan, and told of them; 0.2 ms without.
          set_config('enable_seqscan', 'off', true),
          set_config('enable_bitmapscan', 'off', true),
          -- Before PostgreSQL 18 a scan that is off costs 10^10, and what seems that dear is compiled first: a search
          -- took 1.5 s on 15, and 20 ms without.
          set_config('jit', 'off', true);
  return true;
end
$$;
comment on function app.enter(text, text, text, text[], text, text) is 'Sets the caller of this transaction. Called by the service only.';

-- What a first sight writes: the org, the user, its app and own space, and a space about to be written to at first.
-- Definer: nothing of this may be written by the service itself. Raises BRN02 for a space the grants do not open.
create or replace function app.provision(
  token_org text, token_sub text, grants text[], access_entities text[], app_name text
) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  caller_org uuid := app.org_key(token_org);
  held text[] := app.held_grants(token_sub, grants);
begin
  perform app.limit_time();
  if exists (select from unnest(access_entities) as wanted where not app.access_keys(wanted) && held) then
    raise exception 'space not granted' using errcode = 'BRN02';
  end if;

  insert into brain.orgs (org_id, name) values (caller_org, token_org) on conflict do nothing;
  if not exists (select from brain.orgs where org_id = caller_org and name = token_org) then
    raise exception 'two org names with one key';
  end if;
  insert into brain.users (org_id, sub) values (caller_org, token_sub) on conflict do nothing;
  -- In one order, or two callers with the same new spaces would wait for each other.
  insert into brain.spaces (org_id, access_entity)
  select distinct caller_org, wanted from unnest(access_entities || ('user:' || token_sub)) as wanted order by wanted
  on conflict do nothing;
  insert into brain.apps (org_id, owner_id, name)
  select caller_org, users.id, app_name from brain.users where org_id = caller_org and sub = token_sub
  on conflict do nothing;
end
$$;
comment on function app.provision(text, text, text[], text[], text) is
  'Makes the org, user, app and spaces of a caller. Called by the service only.';

-- Puts a token of the caller's org on the denylist: it is refused from the next transaction on. Again is fine.
-- Definer: the denylist is not the service's to read or write.
create or replace function app.revoke_token(token_jti text, token_expires_at timestamptz) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  caller_org constant uuid := app.current_org_id();
begin
  if caller_org is null then
    raise exception 'app.revoke_token() needs a caller';
  end if;
  insert into brain.revoked_tokens (org_id, jti, expires_at) values (caller_org, token_jti, token_expires_at)
  on conflict do nothing;
  if found then
    insert into brain.audit_events (org_id, action, targets) values (caller_org, 'token.revoked', array[token_jti]);
  end if;
end
$$;
comment on function app.revoke_token(text, timestamptz) is 'Refuses a token of the caller''s org from now on.';

alter table brain.orgs enable row level security;
drop policy if exists own_org on brain.orgs;
create policy own_org on brain.orgs for select to brain_app
  using (org_id = (select app.current_org_id()));

alter table brain.users enable row level security;
drop policy if exists own_user on brain.users;
create policy own_user on brain.users for select to brain_app
  using (org_id = (select app.current_org_id()) and id = (select app.current_user_id()));

alter table brain.spaces enable row level security;
drop policy if exists within_spaces on brain.spaces;
create policy within_spaces on brain.spaces for select to brain_app
  using (org_id = (select app.current_org_id()) and id = any ((select app.current_spaces())::int[]));

-- Read by app.enter() alone.
alter table brain.revoked_tokens enable row level security;
drop policy if exists nobody on brain.revoked_tokens;
create policy nobody on brain.revoked_tokens to brain_app
  using (org_id = (select app.current_org_id()) and false);

alter table brain.apps enable row level security;
drop policy if exists own_apps on brain.apps;
create policy own_apps on brain.apps to brain_app
  using (org_id = (select app.current_org_id()) and owner_id = (select app.current_user_id()))
  with check (org_id = (select app.current_org_id()) and owner_id = (select app.current_user_id()));

revoke all on brain.orgs, brain.users, brain.spaces, brain.revoked_tokens, brain.apps from public, brain_app;
grant select on brain.orgs, brain.users, brain.spaces, brain.apps to brain_app;
grant update (is_active) on brain.apps to brain_app;

revoke all on function app.org_key(text), app.held_grants(text, text[]), app.limit_time(),
  app.enter(text, text, text, text[], text, text), app.provision(text, text, text[], text[], text),
  app.revoke_token(text, timestamptz)
  from public, brain_app;
grant execute on function app.enter(text, text, text, text[], text, text), app.provision(text, text, text[], text[], text),
  app.revoke_token(text, timestamptz), app.held_grants(text, text[]) to brain_app;
--! EndIncluded tenants.sql
--! Included recalls.sql
-- Who recalled which memories: a row per answer and space. Whoever sees the memories sees that they were recalled.
alter table brain.memory_access_log enable row level security;
drop policy if exists within_spaces on brain.memory_access_log;
create policy within_spaces on brain.memory_access_log for select to brain_app
  using (org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[]));
revoke all on brain.memory_access_log from public, brain_app;
grant select on brain.memory_access_log to brain_app;

-- Writes what the service has gathered of recalls: [{org, sub, app, kind, at, memory_ids}]. A recalled memory that has
-- gone since is left out; one that was moved is told of where it is now.
-- Definer: it writes for many callers at once and has no context. It takes nothing that would open anything.
create or replace function app.log_recalls(recalls jsonb) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
-- One plan for good, which looks each row up by its key: one that read all memories of the org for each recall was
-- taken for cheaper where they were a thousand, and took more than the answers that it told of.
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
  perform app.limit_time();
  insert into brain.memory_access_log (org_id, space_id, at, user_id, sub, app, kind, memory_ids)
  select person.org_id, memory.space_id, recall.at, person.id, recall.sub, recall.app, recall.kind,
         array_agg(recalled.id order by place)
  from rows from (
    jsonb_to_recordset(recalls) as (org text, sub text, app text, kind text, at timestamptz, memory_ids uuid[])
  ) with ordinality as recall (org, sub, app, kind, at, memory_ids, number)
  cross join lateral (
    select org_id, id from brain.users where org_id = app.org_key(recall.org) and users.sub = recall.sub limit 1
  ) as person
  cross join unnest(recall.memory_ids) with ordinality as recalled (id, place)
  cross join lateral (
    select space_id from brain.memories where org_id = person.org_id and memories.id = recalled.id limit 1
  ) as memory
  group by person.org_id, person.id, memory.space_id, recall.number, recall.at, recall.sub, recall.app, recall.kind;
end
$$;
comment on function app.log_recalls(jsonb) is 'Appends to the log of recalls. Called by the service only.';
revoke all on function app.log_recalls(jsonb) from public, brain_app;
grant execute on function app.log_recalls(jsonb) to brain_app;

-- Which entries of the log are about a memory, newest first, at most so many: their ids alone. Whoever calls it reads
-- the entries again under the policy.
-- Definer: a policy lets no index on what an array holds be used, and without one every recall in the space would be
-- looked at. That index begins with org_id and the memory is one of the org's, so it tells of nobody else. It takes its
-- caller from the context and repeats the policy's predicate.
create or replace function app.recalls_of(memory uuid, max_rows int) returns table (id uuid)
language sql stable security definer
set search_path = pg_catalog, pg_temp
set enable_bitmapscan = on
as $$
  select id from brain.memory_access_log
  where org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[])
    and memory_ids @> array[memory]
  order by at desc, id desc
  limit max_rows
$$;
comment on function app.recalls_of(uuid, int) is 'Ids of the entries in the log of recalls that are about a memory, newest first.';
revoke all on function app.recalls_of(uuid, int) from public, brain_app;
grant execute on function app.recalls_of(uuid, int) to brain_app;
--! EndIncluded recalls.sql
--! Included terms.sql
-- What search by words reads: the terms of each memory, how its words are spelt, and how much a space holds. All of it
-- belongs to a space, follows its rule, and is written by triggers in the transaction of the write.
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

alter table brain.space_sizes enable row level security;
drop policy if exists within_spaces on brain.space_sizes;
create policy within_spaces on brain.space_sizes for select to brain_app
  using (org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[]));

revoke all on brain.memory_terms, brain.space_words, brain.space_sizes from public, brain_app;
grant select on brain.memory_terms, brain.space_words, brain.space_sizes to brain_app;

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
  ),
  spelt as (
    insert into brain.space_words (org_id, space_id, word)
    select distinct org_id, space_id, word
    from told
    cross join lateral unnest(spellings) as word
    order by org_id, space_id, word
    on conflict do nothing
  )
  insert into brain.space_sizes (org_id, space_id, memories)
  select org_id, space_id, count(*) from told group by org_id, space_id;
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
  ),
  removed as (
    delete from brain.memory_terms
    using told
    where memory_terms.org_id = told.org_id and memory_terms.space_id = told.space_id
      and term = any (words) and memory_id = told.id
  )
  insert into brain.space_sizes (org_id, space_id, memories)
  select org_id, space_id, -count(*) from told group by org_id, space_id;

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

-- Adds up what many writes have told of a space's size, so that a search has few rows to read. Rows that another writer
-- adds up just now are passed over: nobody waits.
create or replace function app.add_up_sizes(of_org uuid, of_space int) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  with told as (
    delete from brain.space_sizes
    where (org_id, space_id, id) in (
      select org_id, space_id, id from brain.space_sizes
      where org_id = of_org and space_id = of_space for update skip locked)
    returning memories
  )
  insert into brain.space_sizes (org_id, space_id, memories)
  select of_org, of_space, sum(memories) from told having count(*) > 0
$$;

-- Definer: the service may write no terms by itself.
create or replace function app.tg_memories__terms() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  many_sizes constant int := 64;
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
    perform app.add_up_sizes(org_id, space_id)
    from (select distinct org_id, space_id from unnest(after)) as spaces
    where (select count(*) from brain.space_sizes
           where space_sizes.org_id = spaces.org_id and space_sizes.space_id = spaces.space_id) > many_sizes;
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

revoke all on function app.add_terms(brain.memories[]), app.remove_terms(brain.memories[]), app.add_up_sizes(uuid, int),
  app.tg_memories__terms() from public, brain_app;
--! EndIncluded terms.sql
--! Included entities.sql
-- What memories are about: entities, where they are mentioned, typed relations between them, events on a timeline.
-- All of it belongs to a space and follows its rule. Mentions are derived from the memory in the write's transaction.

alter table brain.entities enable row level security;
drop policy if exists within_spaces on brain.entities;
create policy within_spaces on brain.entities to brain_app
  using (org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[]))
  with check (org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[]));
revoke all on brain.entities from public, brain_app;
grant select, insert (space_id, key, display_name), update (merged_into) on brain.entities to brain_app;

alter table brain.memory_entities enable row level security;
drop policy if exists within_spaces on brain.memory_entities;
create policy within_spaces on brain.memory_entities for select to brain_app
  using (org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[]));
revoke all on brain.memory_entities from public, brain_app;
grant select on brain.memory_entities to brain_app;

alter table brain.relations enable row level security;
drop policy if exists within_spaces on brain.relations;
create policy within_spaces on brain.relations to brain_app
  using (org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[]))
  with check (org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[]));
revoke all on brain.relations from public, brain_app;
grant select, delete, insert (id, space_id, from_key, to_key, type, memory_id, app) on brain.relations to brain_app;

alter table brain.events enable row level security;
drop policy if exists within_spaces on brain.events;
create policy within_spaces on brain.events to brain_app
  using (org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[]))
  with check (org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[]));
revoke all on brain.events from public, brain_app;
grant select, delete, insert (id, space_id, name, type, start_date, end_date, description, memory_id, app)
  on brain.events to brain_app;

alter table brain.event_entities enable row level security;
drop policy if exists within_spaces on brain.event_entities;
create policy within_spaces on brain.event_entities to brain_app
  using (org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[]))
  with check (org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[]));
revoke all on brain.event_entities from public, brain_app;
grant select, insert (space_id, event_id, key) on brain.event_entities to brain_app;

alter table brain.entity_merges enable row level security;
drop policy if exists within_spaces on brain.entity_merges;
create policy within_spaces on brain.entity_merges to brain_app
  using (org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[]))
  with check (org_id = (select app.current_org_id()) and space_id = any ((select app.current_spaces())::int[]));
revoke all on brain.entity_merges from public, brain_app;
grant select, insert (id, space_id, key, variants), update (undone_at) on brain.entity_merges to brain_app;

-- A mention by the entity it counts for: a merged one counts for what it was merged into. A left join: an entity that
-- was purged while it was mentioned anew is still mentioned.
create or replace view brain.mentions with (security_invoker = true) as
  select memory_entities.org_id, memory_entities.space_id, memory_entities.memory_id,
         coalesce(entities.merged_into, memory_entities.key) as key, memory_entities.origin, memory_entities.is_active
  from brain.memory_entities
  left join brain.entities using (org_id, space_id, key);
comment on view brain.mentions is 'What each memory mentions, by the entities there are after merges.';
revoke all on brain.mentions from public, brain_app;
grant select on brain.mentions to brain_app;

-- What a memory names, the surest first: what it was given, its artifact and code, then what its text shows to be a
-- name: identifiers in backticks, @names and @scope/packages, paths of files.
create or replace function app.names_in(
  entities text[], artifact_ref text, code_refs jsonb, content text
) returns table (name text, origin text)
language sql stable parallel safe
as $$
  select name, 'given' from unnest(entities) as name
  union all
  select artifact_ref, 'artifact' where artifact_ref is not null
  union all
  select name, 'code'
  from jsonb_array_elements(code_refs) as ref
  cross join lateral (values (ref ->> 'path'), (ref ->> 'symbol')) as named (name)
  where name is not null
  union all
  select regexp_replace(found[1], '\(\)$', ''), 'text'
  from regexp_matches(content, '`([^`\s]+)`', 'g') as found
  union all
  select coalesce(found[1], found[2]), 'text'
  from regexp_matches(content,
    '(?:^|[\s(,;:])(?:(@[a-z0-9][\w.-]*/[a-z0-9][\w.-]*)|@(\w(?:[\w.-]*\w)?))', 'g') as found
  union all
  select found[1], 'text'
  from regexp_matches(content,
    '(?:^|[\s("''])((?:[\w@.-]*/)+[\w@.-]*\.[A-Za-z]\w*)', 'g') as found
$$;
comment on function app.names_in(text[], text, jsonb, text) is 'The names a memory gives or shows, in any spelling, with where each stands.';
revoke all on function app.names_in(text[], text, jsonb, text) from public, brain_app;

-- The keys that runs of one to four words of a text make: a name of a space is found in a text by its key, in any
-- spelling. Words of the first 16,384 characters, a line's end or not between them.
-- In plpgsql, whose statements are planned once: as a function of SQL it took seven times as long.
create or replace function app.keys_in(content text) returns setof text
language plpgsql immutable strict parallel safe rows 100
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    with words as (
      select app.entity_key(word) as key, place
      from regexp_split_to_table(left(content, 16384), '[\s,;:!?()\[\]{}"''`<>|=*]+') with ordinality as split (word, place)
    )
    select run
    from (
      select key as one, lead(key) over following as two, lead(key, 2) over following as three,
             lead(key, 3) over following as four
      from words
      where key <> ''
      window following as (order by place)
    ) as run_of
    cross join lateral (values (one), (one || two), (one || two || three), (one || two || three || four)) as runs (run)
    where char_length(run) between 3 and 256;
end
$$;
comment on function app.keys_in(text) is 'The entity keys a text could name; one that is there twice comes twice.';
revoke all on function app.keys_in(text) from public, brain_app;
grant execute on function app.keys_in(text) to brain_app; -- a search looks for the entities its query names

-- Whether a text is a year, a month or a day that exists: 2025, 2025-03, 2025-03-31.
create or replace function app.is_date(told text) returns boolean
language sql immutable parallel safe
as $$
  select case
    when told is null or told !~ '^\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$' or told ~ '^0000' then false
    when char_length(told) < 10 then true
    when substr(told, 6, 2) in ('04', '06', '09', '11') then right(told, 2) <> '31'
    when substr(told, 6, 2) <> '02' then true
    when right(told, 2) = '29' then left(told, 4)::int % 4 = 0
      and (left(told, 4)::int % 100 <> 0 or left(told, 4)::int % 400 = 0)
    else right(told, 2)::int <= 28
  end
$$;
comment on function app.is_date(text) is 'Whether a text is a year, month or day that exists.';
revoke all on function app.is_date(text) from public, brain_app;
grant execute on function app.is_date(text) to brain_app; -- a check of brain.events asks it

-- The date a decision tells of itself: by its tags or metadata, else the first ISO date of its text. As it was told:
-- a year, a month or a day. Null where there is none, or none that exists.
create or replace function app.decided_on(tags jsonb, metadata json, content text) returns text
language sql stable parallel safe
as $$
  select told
  from (values
    (1, tags ->> 'date'), (2, tags ->> 'decided_on'),
    (3, metadata ->> 'date'), (4, metadata ->> 'decided_on'),
    (5, (regexp_match(content, '(?:^|[^\d-])(\d{4}-\d{2}-\d{2})(?![\d-])'))[1])
  ) as dates (place, told)
  where app.is_date(told)
  order by place
  limit 1
$$;
revoke all on function app.decided_on(jsonb, json, text) from public, brain_app;

-- Writes anew what is derived from memories: their mentions, the entities these make, and the events of dated
-- decisions. A deleted memory has none; one that is paused or archived has mentions out of sight of the graph, and no
-- event. Definer: the service may write no mention by itself. Called by the triggers below, and by migrations.
create or replace function app.derive(of_org uuid, memory_ids uuid[], are_new boolean) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
-- One plan for good, which looks each row up by its key: to plan anew took longer than the work, and a plan that reads
-- all entities of a space grows with them.
set plan_cache_mode = force_generic_plan
set enable_mergejoin = off
as $$
declare
  max_mentions constant int := 64;
  max_key_bytes constant int := 1024; -- a key of 256 characters may grow by NFKC, and an index entry has its limit
  one uuid;
begin
  if not are_new then
    foreach one in array memory_ids loop
      delete from brain.memory_entities where org_id = of_org and memory_id = one;
      delete from brain.events where org_id = of_org and memory_id = one and is_derived;
    end loop;
  end if;

  with told as materialized (
    select id, space_id, state, entities, artifact_ref, code_refs, content
    from unnest(memory_ids) as wanted
    cross join lateral (
      select * from brain.memories where org_id = of_org and id = wanted
      limit 1 -- a look-up for each, whatever the planner thinks of the table
    ) as memory
    where state <> 'deleted'
  ),
  own as materialized (
    select distinct on (id, key) *
    from (
      select told.id, space_id, state, app.entity_key(btrim(name)) as key, btrim(name) as name, origin,
             array_position(array['given', 'artifact', 'code', 'text'], origin) as rank
      from told
      cross join lateral app.names_in(told.entities, artifact_ref, code_refs, content)
      where char_length(btrim(name)) between 1 and 256
    ) as named
    where key <> '' and octet_length(key) <= max_key_bytes
    order by id, key, rank, name
  ),
  made as (
    -- In one order, or two writers with the same new names would wait for each other.
    insert into brain.entities (org_id, space_id, key, display_name)
    select distinct on (space_id, key) of_org, space_id, key, name
    from own
    order by space_id, key, rank, name
    on conflict do nothing
  ),
  runs as materialized (
    select distinct told.id, space_id, state, run from told cross join lateral app.keys_in(content) as run
  ),
  -- The names of a space among all of its runs, in one look at the index: a look for each run took twice as long.
  known as materialized (
    select asked.space_id, found.key
    from (select space_id, array_agg(distinct run) as keys from runs group by space_id) as asked
    cross join lateral (
      select key from brain.entities
      where org_id = of_org and entities.space_id = asked.space_id and key = any (asked.keys) and has_words
      offset 0
    ) as found
  ),
  mentioned as (
    -- The surest of each key. Sorted rather than looked for among the others: of a hundred memories at once that was
    -- three quarters of the work, and it grew with their square.
    select distinct on (id, key) *
    from (
      select id, space_id, state, key, origin, rank from own
      union all
      -- Names the space knows already.
      select runs.id, runs.space_id, runs.state, run, 'text', 5
      from runs
      join known on known.space_id = runs.space_id and known.key = run
    ) as found
    order by id, key, rank
  )
  insert into brain.memory_entities (org_id, space_id, memory_id, key, origin, is_active)
  select of_org, space_id, id, key, origin, state = 'active'
  from (select *, row_number() over (partition by id order by rank, key) as place from mentioned) as placed
  where place <= max_mentions;

  -- Asked first: an insert of no rows runs the triggers of statements all the same.
  if not exists (
    select from unnest(memory_ids) as wanted
    cross join lateral (select category from brain.memories where org_id = of_org and id = wanted limit 1) as memory
    where category = 'decision'
  ) then
    return;
  end if;
  insert into brain.events (org_id, id, space_id, name, type, start_date, memory_id, owner_id, owner, app, is_derived)
  select org_id, gen_random_uuid(), space_id, left(split_part(content, E'\n', 1), 160), 'decision', decided_on, id,
         owner_id, owner, app, true
  from unnest(memory_ids) as wanted
  cross join lateral (select * from brain.memories where org_id = of_org and id = wanted limit 1) as memory
  cross join lateral app.decided_on(tags, metadata, content)
  where category = 'decision' and state = 'active' and decided_on is not null;
end
$$;
comment on function app.derive(uuid, uuid[], boolean) is 'Writes anew what is derived from these memories. Called by triggers and migrations.';
revoke all on function app.derive(uuid, uuid[], boolean) from public, brain_app;

-- Definer: calls what the service may not.
create or replace function app.tg_memories__derive() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'INSERT' then
    perform app.derive(org_id, array_agg(id), true) from touched group by org_id;
    return null;
  end if;

  -- What was said with a memory goes where it goes.
  if exists (select from rows_before join rows_after using (org_id, id) where rows_before.space_id <> rows_after.space_id) then
    insert into brain.entities (org_id, space_id, key, display_name)
    select distinct rows_after.org_id, rows_after.space_id, entities.key, entities.display_name
    from rows_before
    join rows_after using (org_id, id)
    join lateral (
      select from_key as key from brain.relations where org_id = rows_after.org_id and memory_id = rows_after.id
      union all
      select to_key from brain.relations where org_id = rows_after.org_id and memory_id = rows_after.id
      union all
      select event_entities.key from brain.events
      join brain.event_entities on event_entities.org_id = events.org_id and event_id = events.id
      where events.org_id = rows_after.org_id and memory_id = rows_after.id
    ) as said on true
    join brain.entities on entities.org_id = rows_after.org_id and entities.space_id = rows_before.space_id
      and entities.key = said.key
    where rows_before.space_id <> rows_after.space_id
    order by 1, 2, 3
    on conflict do nothing;

    update brain.relations set space_id = rows_after.space_id
    from rows_after
    where relations.org_id = rows_after.org_id and memory_id = rows_after.id and relations.space_id <> rows_after.space_id;

    update brain.event_entities set space_id = rows_after.space_id
    from rows_after
    join brain.events on events.org_id = rows_after.org_id and memory_id = rows_after.id
    where event_entities.org_id = events.org_id and event_id = events.id
      and event_entities.space_id <> rows_after.space_id;

    update brain.events set space_id = rows_after.space_id
    from rows_after
    where events.org_id = rows_after.org_id and memory_id = rows_after.id and events.space_id <> rows_after.space_id;
  end if;

  perform app.derive(org_id, array_agg(id), false)
  from rows_before as before
  join rows_after as after using (org_id, id)
  where (before.space_id, before.content, before.category, before.entities, before.artifact_ref, before.code_refs,
         before.tags, before.metadata::text)
        is distinct from
        (after.space_id, after.content, after.category, after.entities, after.artifact_ref, after.code_refs,
         after.tags, after.metadata::text)
     or before.state <> after.state and (after.category = 'decision' or 'deleted' in (before.state, after.state))
  group by org_id;

  update brain.memory_entities set is_active = (state = 'active')
  from rows_after as after
  where memory_entities.org_id = after.org_id and memory_id = after.id and is_active <> (state = 'active');
  return null;
end
$$;
revoke all on function app.tg_memories__derive() from public, brain_app;

create or replace trigger _650_derive_insert after insert on brain.memories
  referencing new table as touched for each statement execute function app.tg_memories__derive();
create or replace trigger _650_derive_update after update on brain.memories
  referencing old table as rows_before new table as rows_after for each statement execute function app.tg_memories__derive();

-- A relation or an event that names the memory that says so names one its writer can see, of the same space. Looked
-- for under the policy, which a foreign key would not ask. Raises BRN03 where there is none.
create or replace function app.tg__said_by() returns trigger
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  perform from brain.memories
  where org_id = new.org_id and id = new.memory_id and space_id = new.space_id and state <> 'deleted';
  if not found then
    raise exception 'no such memory in that space' using errcode = 'BRN03';
  end if;
  return new;
end
$$;
revoke all on function app.tg__said_by() from public, brain_app;

create or replace trigger _400_said_by before insert on brain.relations
  for each row when (new.memory_id is not null) execute function app.tg__said_by();
create or replace trigger _400_said_by before insert on brain.events
  for each row when (new.memory_id is not null and not new.is_derived) execute function app.tg__said_by();
--! EndIncluded entities.sql
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
--! EndIncluded embeddings.sql
