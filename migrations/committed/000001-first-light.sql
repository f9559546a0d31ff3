--! Previous: -
--! Hash: sha1:0a13a2962023dd4012fc8299c34f018261b76290
--! Message: first light

-- First light: the tenant tables. Policies, grants, functions and triggers live in sql/ and are brought in below.

create schema if not exists brain;
create schema if not exists app;

-- Grants under org_id in one GIN index. A trusted extension: the owner of the database may create it.
create extension if not exists btree_gin;

-- PostgreSQL lets everybody execute a new function; ours are granted one by one.
alter default privileges revoke execute on functions from public;

--! Included access_keys.sql
-- The grants that open a space: the space itself and, for shared ones, what lies above it at '/' boundaries.
-- team:a/b opens to {team:a/b, project:a, org:a}; user:x to itself alone. No pattern matching anywhere.
create or replace function app.access_keys(access_entity text) returns text[]
language sql immutable strict parallel safe
as $$
  with entity as (
    select split_part(access_entity, ':', 1) as prefix,
           string_to_array(substr(access_entity, strpos(access_entity, ':') + 1), '/') as path
  )
  select array[access_entity] || coalesce(array_agg(opener || ':' || array_to_string(path[1:depth], '/')), '{}')
  from entity,
       generate_series(1, cardinality(path) - 1) as depth,
       unnest(case prefix
                when 'team' then array['project', 'org']
                when 'project' then array['project', 'org']
                when 'org' then array['org']
                else '{}'
              end) as opener
$$;
comment on function app.access_keys(text) is 'The grants that open a space.';
revoke all on function app.access_keys(text) from public, brain_app;
--! EndIncluded access_keys.sql
--! Included context.sql
-- Who is asking. The settings live for one transaction and only app.enter() sets them; none set means no rows.
-- All stable: an immutable one would be folded into a prepared plan and answer for the next caller too.
create or replace function app.current_org_id() returns uuid
language sql stable parallel safe
as $$ select nullif(current_setting('app.current_org_id', true), '')::uuid $$;

create or replace function app.current_user_id() returns uuid
language sql stable parallel safe
as $$ select nullif(current_setting('app.current_user_id', true), '')::uuid $$;

create or replace function app.current_sub() returns text
language sql stable parallel safe
as $$ select nullif(current_setting('app.current_sub', true), '') $$;

create or replace function app.current_spaces() returns int[]
language sql stable parallel safe
as $$ select coalesce(nullif(current_setting('app.current_spaces', true), ''), '{}')::int[] $$;

revoke all on schema brain, app from public, brain_app;
grant usage on schema brain, app to brain_app;
revoke all on function app.current_org_id(), app.current_user_id(), app.current_sub(), app.current_spaces()
  from public, brain_app;
grant execute on function app.current_org_id(), app.current_user_id(), app.current_sub(), app.current_spaces()
  to brain_app;
--! EndIncluded context.sql

create table if not exists brain.orgs (
  org_id uuid primary key,
  name text not null check (name ~ '\S' and char_length(name) <= 256),
  created_at timestamptz not null default now()
);

create table if not exists brain.users (
  org_id uuid not null references brain.orgs,
  id uuid not null default gen_random_uuid(),
  sub text not null check (sub ~ '\S' and char_length(sub) <= 256),
  created_at timestamptz not null default now(),
  primary key (org_id, id),
  unique (org_id, sub)
);

create table if not exists brain.spaces (
  org_id uuid not null references brain.orgs,
  id int not null generated always as identity,
  access_entity text not null check (
    access_entity ~ '^(team|project|org):[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+){0,15}$' and char_length(access_entity) <= 512
    or access_entity ~ '^user:.*\S' and char_length(access_entity) <= 261
  ),
  access_keys text[] not null generated always as (app.access_keys(access_entity)) stored,
  created_at timestamptz not null default now(),
  primary key (org_id, id),
  unique (org_id, access_entity)
);
-- With 257 grants among 200,000 spaces: 1.8 ms, against 437 ms for (access_keys) alone.
create index if not exists spaces_org_id_access_keys_idx on brain.spaces using gin (org_id, access_keys);

create table if not exists brain.revoked_tokens (
  org_id uuid not null references brain.orgs,
  jti text not null check (char_length(jti) <= 256),
  revoked_at timestamptz not null default now(),
  -- From then on the token is refused for its age and the row can go.
  expires_at timestamptz not null,
  primary key (org_id, jti)
);

create table if not exists brain.apps (
  org_id uuid not null,
  id uuid not null default gen_random_uuid(),
  owner_id uuid not null,
  name text not null check (name ~ '^[a-z0-9._-]{1,64}$'),
  is_active boolean not null default true,
  created_at timestamptz not null default now(),
  primary key (org_id, id),
  unique (org_id, owner_id, name),
  unique (org_id, owner_id, id),
  foreign key (org_id, owner_id) references brain.users (org_id, id)
);

create table if not exists brain.memories (
  org_id uuid not null default app.current_org_id(),
  id uuid not null,
  space_id int not null,
  owner_id uuid not null default app.current_user_id(),
  owner text not null default app.current_sub(),
  app_id uuid not null,
  app text not null,
  content text not null check (octet_length(content) between 1 and 65536),
  category text not null default 'note' check (category in (
    'decision', 'convention', 'architecture', 'dependency', 'workflow', 'testing',
    'security', 'performance', 'runbook', 'glossary', 'note'
  )),
  artifact_type text check (artifact_type in ('repo', 'service', 'module', 'component', 'api', 'db', 'infra', 'file')),
  artifact_ref text check (char_length(artifact_ref) between 1 and 1024),
  entities text[] not null default '{}' check (cardinality(entities) <= 32),
  thread text check (char_length(thread) between 1 and 256),
  evidence text[] not null default '{}' check (cardinality(evidence) <= 32),
  tags jsonb not null default '{}' check (jsonb_typeof(tags) = 'object' and octet_length(tags::text) <= 16384),
  code_refs jsonb not null default '[]' check (jsonb_typeof(code_refs) = 'array'),
  source text not null default 'user' check (source in ('user', 'inference', 'import')),
  -- json, not jsonb: kept as it came, the order of its keys too.
  metadata json not null default '{}' check (json_typeof(metadata) = 'object' and octet_length(metadata::text) <= 16384),
  state text not null default 'active' check (state in ('active', 'paused', 'archived', 'deleted')),
  revision int not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  archived_at timestamptz,
  deleted_at timestamptz,
  content_length int not null generated always as (octet_length(content)) stored,
  terms tsvector not null generated always as (to_tsvector('english', content)) stored,
  check ((state = 'archived') = (archived_at is not null)),
  check ((state = 'deleted') = (deleted_at is not null)),
  primary key (org_id, id),
  foreign key (org_id, space_id) references brain.spaces (org_id, id),
  foreign key (org_id, owner_id, app_id) references brain.apps (org_id, owner_id, id)
);
-- The length rides along so that a search counts and averages without touching the rows.
create index if not exists memories_page_idx on brain.memories (org_id, space_id, created_at desc, id desc)
  include (state, content_length);

--! Included all.sql
-- Every living piece, in order. A migration that changes one includes it again; tests/db/drift.test.ts tells when it does not.
--! Included access_keys.sql
-- The grants that open a space: the space itself and, for shared ones, what lies above it at '/' boundaries.
-- team:a/b opens to {team:a/b, project:a, org:a}; user:x to itself alone. No pattern matching anywhere.
create or replace function app.access_keys(access_entity text) returns text[]
language sql immutable strict parallel safe
as $$
  with entity as (
    select split_part(access_entity, ':', 1) as prefix,
           string_to_array(substr(access_entity, strpos(access_entity, ':') + 1), '/') as path
  )
  select array[access_entity] || coalesce(array_agg(opener || ':' || array_to_string(path[1:depth], '/')), '{}')
  from entity,
       generate_series(1, cardinality(path) - 1) as depth,
       unnest(case prefix
                when 'team' then array['project', 'org']
                when 'project' then array['project', 'org']
                when 'org' then array['org']
                else '{}'
              end) as opener
$$;
comment on function app.access_keys(text) is 'The grants that open a space.';
revoke all on function app.access_keys(text) from public, brain_app;
--! EndIncluded access_keys.sql
--! Included context.sql
-- Who is asking. The settings live for one transaction and only app.enter() sets them; none set means no rows.
-- All stable: an immutable one would be folded into a prepared plan and answer for the next caller too.
create or replace function app.current_org_id() returns uuid
language sql stable parallel safe
as $$ select nullif(current_setting('app.current_org_id', true), '')::uuid $$;

create or replace function app.current_user_id() returns uuid
language sql stable parallel safe
as $$ select nullif(current_setting('app.current_user_id', true), '')::uuid $$;

create or replace function app.current_sub() returns text
language sql stable parallel safe
as $$ select nullif(current_setting('app.current_sub', true), '') $$;

create or replace function app.current_spaces() returns int[]
language sql stable parallel safe
as $$ select coalesce(nullif(current_setting('app.current_spaces', true), ''), '{}')::int[] $$;

revoke all on schema brain, app from public, brain_app;
grant usage on schema brain, app to brain_app;
revoke all on function app.current_org_id(), app.current_user_id(), app.current_sub(), app.current_spaces()
  from public, brain_app;
grant execute on function app.current_org_id(), app.current_user_id(), app.current_sub(), app.current_spaces()
  to brain_app;
--! EndIncluded context.sql
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
create or replace function app.enter(token_org text, token_sub text, token_jti text, grants text[]) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  caller_org uuid := app.org_key(token_org);
  caller_id uuid;
begin
  if app.current_user_id() is not null then
    raise exception 'app.enter() runs once in a transaction';
  end if;

  if exists (select from brain.revoked_tokens where org_id = caller_org and jti = token_jti) then
    raise exception 'token revoked' using errcode = 'BRN01';
  end if;

  select users.id into caller_id
  from brain.orgs
  join brain.users using (org_id)
  where orgs.org_id = caller_org and orgs.name = token_org and users.sub = token_sub;
  if caller_id is null then
    return false;
  end if;

  perform set_config('app.current_org_id', caller_org::text, true),
          set_config('app.current_user_id', caller_id::text, true),
          set_config('app.current_sub', token_sub, true),
          set_config('app.current_spaces', (
            select coalesce(array_agg(id), '{}')::text
            from brain.spaces
            where org_id = caller_org and access_keys && app.held_grants(token_sub, grants)
          ), true),
          set_config('TimeZone', 'UTC', true),
          -- A plan must not walk the rows of spaces the caller cannot see, whatever the statistics suggest: a list of
          -- 30 rows beside a colleague's 100,000 took 100 ms by a seq or bitmap scan, and told of them; 0.2 ms without.
          set_config('enable_seqscan', 'off', true),
          set_config('enable_bitmapscan', 'off', true);
  perform app.limit_time();
  return true;
end
$$;
comment on function app.enter(text, text, text, text[]) is 'Sets the caller of this transaction. Called by the service only.';

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
create policy own_apps on brain.apps for select to brain_app
  using (org_id = (select app.current_org_id()) and owner_id = (select app.current_user_id()));

revoke all on brain.orgs, brain.users, brain.spaces, brain.revoked_tokens, brain.apps from public, brain_app;
grant select on brain.orgs, brain.users, brain.spaces, brain.apps to brain_app;

revoke all on function app.org_key(text), app.held_grants(text, text[]), app.limit_time(), app.enter(text, text, text, text[]), app.provision(text, text, text[], text[], text)
  from public, brain_app;
grant execute on function app.enter(text, text, text, text[]), app.provision(text, text, text[], text[], text) to brain_app;
--! EndIncluded tenants.sql
--! Included memories.sql
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
--! EndIncluded memories.sql
--! Included search.sql
-- Full text. Its operators are not leakproof: under a policy they run on what the policy has let through and use no
-- index of their own. Hence a definer function that takes its caller from the context alone, repeats the policy's
-- predicate, and gives ids and scores. Whoever calls it reads the rows again under the policy.
--
-- There is no index on the words on purpose. A GIN index holds every tenant's: reading it takes time that grows with
-- how often others use a word, and the planner's statistics choose by it. With 20,000 rows of one's own, a word in
-- 50,000 rows of a colleague took 33 ms and one that nobody uses 7. Now each row the caller sees is looked at, and no
-- other: about 3 ms for 1,000 rows.

-- BM25 (Robertson and Zaragoza 2009; k1 1.2, b 0.75) over the words' stems, length in bytes. How many memories there
-- are, how long, and how rare a word is, is counted over the spaces the caller sees, at query time: a score computed
-- over more would tell about neighbours. Words rank and any of them suffices; phrases and exclusions bind.
-- Divided by the best a memory could reach, so that scores lie in 0..1.
create or replace function app.search_lexical(
  words text, phrases text[], excluded text[], states text[], categories text[], access_entities text[], max_hits int
) returns table (id uuid, score real)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
  k1 constant float8 := 1.2;
  b constant float8 := 0.75;
  max_words constant int := 64;
  caller_org constant uuid := app.current_org_id();
  visible int[] := app.current_spaces();
  lexemes constant text[] := (tsvector_to_array(to_tsvector('english', words)))[1:max_words];
  any_of tsquery;
  all_of tsquery;
  none_of tsquery;
  total float8;
  average_length float8;
begin
  if caller_org is null or cardinality(lexemes) = 0 then
    return;
  end if;
  if access_entities is not null then
    visible := array(
      select spaces.id from brain.spaces
      where org_id = caller_org and spaces.id = any (visible) and access_entity = any (access_entities)
    );
  end if;

  -- Quoted by hand: a stem may hold what tsquery reads as an operator, and parsing it again could split it.
  select string_agg('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''', ' | ')::tsquery into any_of
  from unnest(lexemes) as lexeme;
  select string_agg('(' || query || ')', ' & ')::tsquery into all_of
  from (select phraseto_tsquery('english', phrase)::text as query from unnest(phrases) as phrase) as bound
  where query <> '';
  select string_agg('(' || query || ')', ' | ')::tsquery into none_of
  from (select phraseto_tsquery('english', phrase)::text as query from unnest(excluded) as phrase) as bound
  where query <> '';

  select count(*), greatest(avg(content_length), 1) into total, average_length
  from brain.memories
  where org_id = caller_org and space_id = any (visible) and state = any (states);

  return query
  with found as materialized (
    select memories.id, content_length, lexeme, cardinality(positions) as frequency,
           (categories is null or category = any (categories))
             and (all_of is null or terms @@ all_of)
             and (none_of is null or not terms @@ none_of) as fits
    from brain.memories
    cross join unnest(terms) as term (lexeme, positions, weights)
    where org_id = caller_org and space_id = any (visible) and state = any (states)
      and terms @@ any_of and lexeme = any (lexemes)
  ),
  weights as materialized (
    select lexeme, ln(1 + (total - count(*) + 0.5) / (count(*) + 0.5)) as idf from found group by lexeme
  )
  select found.id,
         least(1, sum(idf * frequency * (k1 + 1)
                      / (frequency + k1 * (1 - b + b * content_length / average_length)))
                  / (select sum(idf) * (k1 + 1) from weights))::real as score
  from found
  join weights using (lexeme)
  where fits
  group by found.id
  order by score desc, found.id desc
  limit max_hits;
end
$$;
comment on function app.search_lexical(text, text[], text[], text[], text[], text[], int) is
  'Ids and scores of the caller''s memories that match, best first.';
revoke all on function app.search_lexical(text, text[], text[], text[], text[], text[], int) from public, brain_app;
grant execute on function app.search_lexical(text, text[], text[], text[], text[], text[], int) to brain_app;
--! EndIncluded search.sql
--! Included schema_state.sql
-- The newest migration this database has, for the service's readiness: its role cannot read graphile_migrate.
-- plpgsql, so that the body is not resolved before graphile-migrate has made its table.
create or replace function app.schema_state() returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return (select filename from graphile_migrate.migrations order by filename desc limit 1);
end
$$;
comment on function app.schema_state() is 'File name of the newest applied migration, null while there is none.';
revoke all on function app.schema_state() from public, brain_app;
grant execute on function app.schema_state() to brain_app;
--! EndIncluded schema_state.sql
--! EndIncluded all.sql
