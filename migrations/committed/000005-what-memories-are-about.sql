--! Previous: sha1:d37337b7a4d1f01e1e7f079a4970bd83f8310da0
--! Hash: sha1:af1e92c27d0e7bbb1584c07e29fae00c9e695f55
--! Message: what memories are about

-- What memories are about, told in tables of its own: entities, mentions, relations, events, merges. And the log of
-- recalls, an org's settings, and the purge of what was deleted long ago.

create table brain.entities (
  org_id uuid not null default app.current_org_id(),
  space_id int not null,
  key text not null check (key <> '' and octet_length(key) <= 1024),
  display_name text not null check (char_length(display_name) between 1 and 256),
  merged_into text,
  -- Whether the name has words at all: one of stop words alone would be found in every text.
  has_words boolean not null generated always as (numnode(plainto_tsquery('english', display_name)) > 0) stored,
  created_at timestamptz not null default now(),
  primary key (org_id, space_id, key),
  foreign key (org_id, space_id) references brain.spaces (org_id, id),
  foreign key (org_id, space_id, merged_into) references brain.entities (org_id, space_id, key),
  check (merged_into <> key)
);
comment on table brain.entities is 'The things memories of a space are about, by the key of their name; the first spelling seen is shown.';
comment on column brain.entities.merged_into is 'The entity this one is another name of. What mentions it counts for that one; nothing is moved.';
create index entities_merged_into_idx on brain.entities (org_id, space_id, merged_into) where merged_into is not null;

create table brain.memory_entities (
  org_id uuid not null,
  space_id int not null,
  memory_id uuid not null,
  key text not null,
  origin text not null check (origin in ('given', 'artifact', 'code', 'text')),
  is_active boolean not null,
  primary key (org_id, memory_id, key),
  -- None to entities: each write would lock the rows of the names everybody mentions, and four writers at once got a
  -- quarter less done.
  foreign key (org_id, memory_id) references brain.memories (org_id, id) on delete cascade
);
comment on table brain.memory_entities is 'What each memory mentions, as it is named there. Written by a trigger alone.';
comment on column brain.memory_entities.is_active is 'Whether the memory is: the graph is of active ones.';
create index memory_entities_key_idx on brain.memory_entities (org_id, space_id, key, memory_id) include (is_active);

create table brain.relations (
  org_id uuid not null default app.current_org_id(),
  id uuid not null,
  space_id int not null,
  from_key text not null,
  to_key text not null,
  type text not null check (type ~ '^[a-z][a-z0-9_]{0,63}$'),
  memory_id uuid,
  owner_id uuid not null default app.current_user_id(),
  owner text not null default app.current_sub(),
  app text not null,
  created_at timestamptz not null default now(),
  primary key (org_id, id),
  unique nulls not distinct (org_id, space_id, from_key, to_key, type, memory_id),
  foreign key (org_id, space_id, from_key) references brain.entities (org_id, space_id, key),
  foreign key (org_id, space_id, to_key) references brain.entities (org_id, space_id, key),
  foreign key (org_id, memory_id) references brain.memories (org_id, id) on delete cascade
);
comment on table brain.relations is 'Typed relations from one entity to another, with the memory that says so where there is one.';
create index relations_to_key_idx on brain.relations (org_id, space_id, to_key);
create index relations_memory_id_idx on brain.relations (org_id, memory_id) where memory_id is not null;

create table brain.events (
  org_id uuid not null default app.current_org_id(),
  id uuid not null,
  space_id int not null,
  name text not null check (char_length(name) between 1 and 256),
  type text not null check (type in (
    'residence', 'education', 'work', 'project', 'relationship', 'health', 'travel', 'milestone', 'release', 'incident',
    'decision'
  )),
  start_date text not null,
  end_date text,
  description text check (char_length(description) between 1 and 4096),
  memory_id uuid,
  is_derived boolean not null default false,
  owner_id uuid not null default app.current_user_id(),
  owner text not null default app.current_sub(),
  app text not null,
  created_at timestamptz not null default now(),
  primary key (org_id, id),
  foreign key (org_id, space_id) references brain.spaces (org_id, id),
  foreign key (org_id, memory_id) references brain.memories (org_id, id) on delete cascade
);
comment on table brain.events is 'The timeline: what began, and ended, in which year, month or on which day.';
comment on column brain.events.start_date is 'A year, a month or a day, as precisely as it is known: 2025, 2025-03, 2025-03-31. Sorts as text.';
comment on column brain.events.is_derived is 'Made from a dated decision by a trigger, and gone with it.';
create index events_start_date_idx on brain.events (org_id, space_id, start_date, id);
create index events_memory_id_idx on brain.events (org_id, memory_id) where memory_id is not null;

create table brain.event_entities (
  org_id uuid not null default app.current_org_id(),
  space_id int not null,
  event_id uuid not null,
  key text not null,
  primary key (org_id, event_id, key),
  foreign key (org_id, event_id) references brain.events (org_id, id) on delete cascade,
  foreign key (org_id, space_id, key) references brain.entities (org_id, space_id, key)
);
comment on table brain.event_entities is 'Who or what took part in an event.';
create index event_entities_key_idx on brain.event_entities (org_id, space_id, key);

create table brain.entity_merges (
  org_id uuid not null default app.current_org_id(),
  id uuid not null,
  space_id int not null,
  key text not null,
  variants jsonb not null check (jsonb_typeof(variants) = 'array'),
  owner_id uuid not null default app.current_user_id(),
  owner text not null default app.current_sub(),
  created_at timestamptz not null default now(),
  undone_at timestamptz,
  primary key (org_id, id, space_id),
  foreign key (org_id, space_id, key) references brain.entities (org_id, space_id, key)
);
comment on table brain.entity_merges is 'What was merged, by space: enough to undo it.';
comment on column brain.entity_merges.variants is 'Each entity whose merged_into was set, with what it was before: [{key, was}].';
create index entity_merges_key_idx on brain.entity_merges (org_id, space_id, key);

create table brain.memory_access_log (
  org_id uuid not null,
  id uuid not null default gen_random_uuid(),
  space_id int not null,
  at timestamptz not null,
  user_id uuid not null,
  sub text not null,
  app text not null,
  kind text not null check (kind in ('search', 'list', 'get', 'related')),
  memory_ids uuid[] not null,
  primary key (org_id, id),
  foreign key (org_id, space_id) references brain.spaces (org_id, id),
  foreign key (org_id, user_id) references brain.users (org_id, id)
);
comment on table brain.memory_access_log is 'Which memories were recalled, by whom and through what: a row per answer and space.';
create index memory_access_log_at_idx on brain.memory_access_log (org_id, space_id, at desc, id desc);
create index memory_access_log_app_idx on brain.memory_access_log (org_id, user_id, app, at desc);

create table brain.settings (
  org_id uuid not null default app.current_org_id(),
  settings jsonb not null default '{}' check (jsonb_typeof(settings) = 'object' and octet_length(settings::text) <= 16384),
  secrets jsonb not null default '{}' check (jsonb_typeof(secrets) = 'object' and octet_length(secrets::text) <= 16384),
  secret_names text[] not null default '{}',
  updated_at timestamptz not null default now(),
  updated_by text not null default app.current_sub(),
  primary key (org_id),
  foreign key (org_id) references brain.orgs (org_id)
);
comment on table brain.settings is 'What an org has set otherwise than the defaults. Secrets are written and never read by the service.';

create index memories_deleted_at_idx on brain.memories (org_id, deleted_at) where state = 'deleted';

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
  caller_org uuid := app.org_key(token_org);
  caller_id uuid;
begin
  if app.current_user_id() is not null then
    raise exception 'app.enter() runs once in a transaction';
  end if;
  -- A token without a name could not be revoked.
  if coalesce(token_jti, '') = '' then
    raise exception 'app.enter() needs the jti of a token';
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
          set_config('app.current_app', app_name, true),
          set_config('app.current_request_id', request_id, true),
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
  app.revoke_token(text, timestamptz) to brain_app;
--! EndIncluded tenants.sql
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
-- In plpgsql, whose statements are planned once: as one statement of SQL it took seven times as long.
create or replace function app.keys_in(content text) returns setof text
language plpgsql immutable strict parallel safe rows 100
set search_path = pg_catalog, pg_temp
as $$
declare
  words constant text[] := array(
    select key
    from (
      select app.entity_key(word) as key, place
      from regexp_split_to_table(left(content, 16384), '[\s,;:!?()\[\]{}"''`<>|=*]+') with ordinality as split (word, place)
    ) as keys
    where key <> ''
    order by place);
  run text;
begin
  for start in 1 .. cardinality(words) loop
    run := '';
    for place in start .. least(start + 3, cardinality(words)) loop
      run := run || words[place];
      exit when char_length(run) > 256;
      if char_length(run) >= 3 then
        return next run;
      end if;
    end loop;
  end loop;
end
$$;
comment on function app.keys_in(text) is 'The entity keys a text could name; one that is there twice comes twice.';
revoke all on function app.keys_in(text) from public, brain_app;

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
set enable_hashjoin = off
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
  mentioned as (
    select id, space_id, state, key, origin, rank from own
    union all
    -- Names the space knows already.
    select runs.id, runs.space_id, runs.state, run, 'text', 5
    from runs
    cross join lateral (
      select from brain.entities
      where org_id = of_org and entities.space_id = runs.space_id and key = run and has_words
      limit 1
    ) as known
    where not exists (select from own where own.id = runs.id and own.key = run)
  )
  insert into brain.memory_entities (org_id, space_id, memory_id, key, origin, is_active)
  select of_org, space_id, id, key, origin, state = 'active'
  from (select *, row_number() over (partition by id order by rank, key) as place from mentioned) as placed
  where place <= max_mentions;

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
--! Included settings.sql
-- Settings of an org. Whoever is in it may read them, the secrets nobody; who may change them is a matter of scopes,
-- which the service asks for first.
alter table brain.settings enable row level security;
drop policy if exists own_org on brain.settings;
create policy own_org on brain.settings to brain_app
  using (org_id = (select app.current_org_id()))
  with check (org_id = (select app.current_org_id()));
revoke all on brain.settings from public, brain_app;
grant select (org_id, settings, secret_names, updated_at, updated_by), insert (settings, secrets), update (settings, secrets)
  on brain.settings to brain_app;

create or replace function app.tg_settings__touch() returns trigger
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  new.secret_names := array(select jsonb_object_keys(new.secrets) order by 1);
  new.updated_at := now();
  new.updated_by := coalesce(app.current_sub(), new.updated_by);
  return new;
end
$$;
revoke all on function app.tg_settings__touch() from public, brain_app;
create or replace trigger _500_touch before insert or update on brain.settings
  for each row execute function app.tg_settings__touch();
--! EndIncluded settings.sql
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
as $$
begin
  perform app.limit_time();
  insert into brain.memory_access_log (org_id, space_id, at, user_id, sub, app, kind, memory_ids)
  select users.org_id, memories.space_id, recall.at, users.id, recall.sub, recall.app, recall.kind,
         array_agg(memories.id order by place)
  from rows from (
    jsonb_to_recordset(recalls) as (org text, sub text, app text, kind text, at timestamptz, memory_ids uuid[])
  ) with ordinality as recall (org, sub, app, kind, at, memory_ids, number)
  join brain.users on users.org_id = app.org_key(recall.org) and users.sub = recall.sub
  cross join unnest(recall.memory_ids) with ordinality as recalled (id, place)
  join brain.memories on memories.org_id = users.org_id and memories.id = recalled.id
  group by users.org_id, users.id, memories.space_id, recall.number, recall.at, recall.sub, recall.app, recall.kind;
end
$$;
comment on function app.log_recalls(jsonb) is 'Appends to the log of recalls. Called by the service only.';
revoke all on function app.log_recalls(jsonb) from public, brain_app;
grant execute on function app.log_recalls(jsonb) to brain_app;
--! EndIncluded recalls.sql
--! Included audit.sql
-- Who did what, and what was refused: a row an event, appended in the transaction of what it records. Nobody but the
-- functions here reads or writes it. The columns sub, app, access_entities and salt are about persons: they may be
-- erased, and the chain, which holds their digest alone, stays whole.
alter table brain.audit_events enable row level security;
drop policy if exists nobody on brain.audit_events;
create policy nobody on brain.audit_events to brain_app
  using (org_id = (select app.current_org_id()) and false);

alter table brain.audit_chains enable row level security;
drop policy if exists nobody on brain.audit_chains;
create policy nobody on brain.audit_chains to brain_app
  using (org_id = (select app.current_org_id()) and false);

revoke all on brain.audit_events, brain.audit_chains from public, brain_app;

-- The names of the fields in which two rows differ.
create or replace function app.changed_fields(before brain.memories, after brain.memories) returns text[]
language sql stable parallel safe
as $$
  select array_remove(array[
    case when before.content <> after.content then 'content' end,
    case when before.category <> after.category then 'category' end,
    case when before.space_id <> after.space_id then 'access_entity' end,
    case when before.artifact_type is distinct from after.artifact_type then 'artifact_type' end,
    case when before.artifact_ref is distinct from after.artifact_ref then 'artifact_ref' end,
    case when before.entities <> after.entities then 'entities' end,
    case when before.thread is distinct from after.thread then 'thread' end,
    case when before.evidence <> after.evidence then 'evidence' end,
    case when before.tags <> after.tags then 'tags' end,
    case when before.code_refs <> after.code_refs then 'code_refs' end,
    case when before.source <> after.source then 'source' end,
    case when before.metadata::text <> after.metadata::text then 'metadata' end,
    case when before.supersedes is distinct from after.supersedes then 'supersedes' end,
    case when before.state <> after.state then 'state' end
  ], null)
$$;
revoke all on function app.changed_fields(brain.memories, brain.memories) from public, brain_app;

-- Every write of memories leaves its events, whatever statement it was: a service function cannot forget to.
-- An event is for up to 1,000 memories of an org to which one statement did the same.
-- Definer: the service may add nothing to the audit by itself.
create or replace function app.tg_memories__audit() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'UPDATE' then
    insert into brain.audit_events (org_id, action, changed, targets, access_entities)
    select org_id, action, changed, array_agg(id::text order by id),
           array(select access_entity from brain.spaces
                 where spaces.org_id = events.org_id
                   and (spaces.id = any (array_agg(space_was)) or spaces.id = any (array_agg(space_id)))
                 order by access_entity)
    from (
      select *, (row_number() over (partition by org_id, action, changed order by id) - 1) / 1000 as part
      from (
        select after.org_id, after.id, before.space_id as space_was, after.space_id,
               app.changed_fields(before, after) as changed,
               case
                 when before.state <> after.state and after.state = 'active' then 'memory.restored'
                 when before.state <> after.state then 'memory.' || after.state
                 when before.space_id <> after.space_id then 'memory.moved'
                 else 'memory.updated'
               end as action
        from rows_before as before
        join rows_after as after using (org_id, id)
      ) as changes
    ) as events
    group by org_id, action, changed, part;
    return null;
  end if;

  insert into brain.audit_events (org_id, action, targets, access_entities)
  select org_id, case tg_op when 'INSERT' then 'memory.created' else 'memory.purged' end, array_agg(id::text order by id),
         array(select access_entity from brain.spaces
               where spaces.org_id = events.org_id and spaces.id = any (array_agg(space_id)) order by access_entity)
  from (select org_id, id, space_id, (row_number() over (partition by org_id order by id) - 1) / 1000 as part
        from touched) as events
  group by org_id, part;
  return null;
end
$$;
revoke all on function app.tg_memories__audit() from public, brain_app;

create or replace trigger _700_audit_insert after insert on brain.memories
  referencing new table as touched for each statement execute function app.tg_memories__audit();
create or replace trigger _700_audit_update after update on brain.memories
  referencing old table as rows_before new table as rows_after for each statement execute function app.tg_memories__audit();
create or replace trigger _700_audit_delete after delete on brain.memories
  referencing old table as touched for each statement execute function app.tg_memories__audit();

-- Writes of what else belongs to a space, by statement: of relations, events and merges of entities. The trigger's
-- argument is the action. What follows from a memory is told by the memory's own event.
-- Definer: the service may add nothing to the audit by itself.
create or replace function app.tg__audit() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into brain.audit_events (org_id, action, targets, access_entities)
  select org_id, tg_argv[0], array_agg(distinct id::text), array_agg(distinct access_entity)
  from (select touched.org_id, touched.id, access_entity,
               (dense_rank() over (partition by touched.org_id order by touched.id) - 1) / 1000 as part
        from touched
        join brain.spaces on spaces.org_id = touched.org_id and spaces.id = space_id
        where not coalesce((to_jsonb(touched) ->> 'is_derived')::boolean, false)) as events
  group by org_id, part;
  return null;
end
$$;
revoke all on function app.tg__audit() from public, brain_app;

create or replace trigger _700_audit_insert after insert on brain.relations
  referencing new table as touched for each statement execute function app.tg__audit('relation.created');
create or replace trigger _700_audit_delete after delete on brain.relations
  referencing old table as touched for each statement execute function app.tg__audit('relation.deleted');
create or replace trigger _700_audit_insert after insert on brain.events
  referencing new table as touched for each statement execute function app.tg__audit('event.created');
create or replace trigger _700_audit_delete after delete on brain.events
  referencing old table as touched for each statement execute function app.tg__audit('event.deleted');
create or replace trigger _700_audit_insert after insert on brain.entity_merges
  referencing new table as touched for each statement execute function app.tg__audit('entities.merged');
create or replace trigger _700_audit_update after update on brain.entity_merges
  referencing new table as touched for each statement execute function app.tg__audit('entities.unmerged');

-- An app of one's own that is paused or let go on, and settings of the org.
create or replace function app.tg_apps__audit() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into brain.audit_events (org_id, action, targets)
  values (new.org_id, case when new.is_active then 'app.resumed' else 'app.paused' end, array[new.id::text]);
  return null;
end
$$;
revoke all on function app.tg_apps__audit() from public, brain_app;
create or replace trigger _700_audit after update of is_active on brain.apps
  for each row when (new.is_active <> old.is_active) execute function app.tg_apps__audit();

create or replace function app.tg_settings__audit() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into brain.audit_events (org_id, action, changed)
  select new.org_id, 'settings.changed', coalesce(array_agg(key order by key), '{}')
  from (
    select key from jsonb_each(new.settings) full join jsonb_each(case tg_op when 'UPDATE' then old.settings else '{}' end) as was using (key)
    where jsonb_each.value is distinct from was.value
    union
    select key from jsonb_each(new.secrets) full join jsonb_each(case tg_op when 'UPDATE' then old.secrets else '{}' end) as was using (key)
    where jsonb_each.value is distinct from was.value
  ) as changed;
  return null;
end
$$;
revoke all on function app.tg_settings__audit() from public, brain_app;
create or replace trigger _700_audit after insert or update on brain.settings
  for each row execute function app.tg_settings__audit();

-- An attempt that was refused, in a transaction of its own. It sets no context, so that it opens nothing: not even a
-- revoked token is told apart here.
create or replace function app.audit_denied(
  token_org text, token_sub text, through_app text, of_request text, refused text, with_code text
) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform app.limit_time();
  insert into brain.audit_events (org_id, user_id, sub, app, request_id, action, outcome, code)
  select app.org_key(token_org),
         (select id from brain.users where org_id = app.org_key(token_org) and users.sub = token_sub),
         token_sub, through_app, of_request, refused, 'denied', with_code;
end
$$;
comment on function app.audit_denied(text, text, text, text, text, text) is
  'Records that a request of a verified token was refused. Called by the service only.';
revoke all on function app.audit_denied(text, text, text, text, text, text) from public, brain_app;
grant execute on function app.audit_denied(text, text, text, text, text, text) to brain_app;

-- Fields as one text that can be read in one way only: each with its length in bytes, null as '-'.
create or replace function app.framed(variadic fields text[]) returns text
language sql immutable parallel safe
as $$
  select string_agg(case when field is null then '-' else octet_length(field) || ':' || field end, ',' order by place)
  from unnest(fields) with ordinality as framed (field, place)
$$;
comment on function app.framed(text[]) is 'app.framed(''ab'', null) is ''2:ab,-''. src/ops/audit.ts computes the same.';
revoke all on function app.framed(text[]) from public, brain_app;

-- Chains what has been appended: each event gets the next number of its org and the hash over the event before and
-- itself. Outside the writes, which would wait for each other at the chain's end (930 writes/s against 2,480).
-- The chain's order is that of sealing: who commits late gets a later number, whatever its `at`.
-- A chain another process works on is passed over, and none takes more than its share while others wait.
-- Gives how many events it has sealed; as many as max_events: there may be more.
create or replace function app.seal_audit(max_events int) returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  max_of_one constant int := 500;
  sealed int := 0;
  chain record;
  event record;
begin
  perform app.limit_time();
  insert into brain.audit_chains (org_id)
  select distinct org_id from brain.audit_events where seq is null
  on conflict do nothing;

  for chain in
    select * from brain.audit_chains
    where exists (select from brain.audit_events where org_id = audit_chains.org_id and seq is null)
    order by sealed_at, org_id
    for update skip locked
  loop
    for event in
      select * from brain.audit_events
      where org_id = chain.org_id and seq is null
      order by at, id
      limit least(max_of_one, max_events - sealed)
    loop
      event.payload_digest := sha256(convert_to(
        app.framed(event.salt::text, event.sub, event.app, app.framed(variadic event.access_entities)), 'UTF8'));
      chain.seq := chain.seq + 1;
      chain.hash := sha256(chain.hash || convert_to(app.framed(
        chain.seq::text, event.id::text,
        to_char(event.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), event.user_id::text, event.action,
        event.outcome, event.code, app.framed(variadic event.targets), app.framed(variadic event.changed),
        event.request_id, encode(event.payload_digest, 'hex')), 'UTF8'));
      update brain.audit_events
      set seq = chain.seq, hash = chain.hash, payload_digest = event.payload_digest
      where org_id = chain.org_id and id = event.id;
      sealed := sealed + 1;
    end loop;
    update brain.audit_chains
    set seq = chain.seq, hash = chain.hash, sealed_at = clock_timestamp()
    where org_id = chain.org_id;
    exit when sealed >= max_events;
  end loop;
  return sealed;
end
$$;
comment on function app.seal_audit(int) is 'Chains audit events. Called by the service each second.';
revoke all on function app.seal_audit(int) from public, brain_app;
grant execute on function app.seal_audit(int) to brain_app;

-- The events of the caller's org, newest first, from before a place in that order. Null allows anything.
-- Definer: who may read it is not a matter of rows. The service asks for the scope admin:read first.
create or replace function app.read_audit(
  of_sub text, of_actions text[], of_outcome text, of_code text, of_target text, from_at timestamptz, to_at timestamptz,
  before_at timestamptz, before_id uuid, max_events int
) returns table (
  id uuid, at timestamptz, sub text, app text, action text, outcome text, code text, targets text[], changed text[],
  access_entities text[], request_id text, seq bigint, hash text
)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select id, at, sub, app, action, outcome, code, targets, changed, access_entities, request_id, seq, encode(hash, 'hex')
  from brain.audit_events
  where org_id = (select app.current_org_id())
    and (of_sub is null or sub = of_sub)
    and (of_actions is null or action = any (of_actions))
    and (of_outcome is null or outcome = of_outcome)
    and (of_code is null or code = of_code)
    and (of_target is null or of_target = any (targets))
    and (from_at is null or at >= from_at)
    and (to_at is null or at <= to_at)
    and (before_at is null or (at, id) < (before_at, before_id))
  order by at desc, id desc
  limit max_events
$$;
comment on function app.read_audit(text, text[], text, text, text, timestamptz, timestamptz, timestamptz, uuid, int) is
  'Events of the caller''s org. Called by the service only, after it has asked for admin:read.';
revoke all on function app.read_audit(text, text[], text, text, text, timestamptz, timestamptz, timestamptz, uuid, int)
  from public, brain_app;
grant execute on function app.read_audit(text, text[], text, text, text, timestamptz, timestamptz, timestamptz, uuid, int)
  to brain_app;
--! EndIncluded audit.sql
--! Included purge.sql
-- Takes away what has had its time: memories deleted 30 days ago (settings.retention.deleted_days), recalls older than
-- 90 (settings.retention.recall_days), idempotency keys after a day, sessions nobody has touched for a day, denied
-- tokens that have expired, and entities that nothing names any more. At most so many rows of each; gives how many
-- there were. An org at a time, so that every index begins where the work does.
-- Definer: it has no caller. Any number of processes may call it: rows another one takes are passed over.
create or replace function app.purge_expired(max_rows int) returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
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
  loop
    delete from brain.memories
    where org_id = one.org_id and id in (
      select id from brain.memories
      where org_id = one.org_id and state = 'deleted' and deleted_at < now() - one.deleted_for
      order by deleted_at limit max_rows for update skip locked);
    get diagnostics gone = row_count;
    purged := purged + gone;

    delete from brain.memory_access_log
    where org_id = one.org_id and id in (
      select log.id from brain.spaces
      cross join lateral (
        select id from brain.memory_access_log
        where org_id = one.org_id and space_id = spaces.id and at < now() - one.recalled_for
        limit max_rows for update skip locked
      ) as log
      where spaces.org_id = one.org_id limit max_rows);
    get diagnostics gone = row_count;
    purged := purged + gone;

    delete from brain.idempotency_keys
    where org_id = one.org_id and (user_id, key) in (
      select user_id, key from brain.idempotency_keys
      where org_id = one.org_id and created_at < now() - interval '1 day' limit max_rows for update skip locked);
    delete from brain.mcp_sessions
    where org_id = one.org_id and id in (
      select id from brain.mcp_sessions
      where org_id = one.org_id and touched_at < now() - interval '1 day' limit max_rows for update skip locked);
    delete from brain.revoked_tokens
    where org_id = one.org_id and jti in (
      select jti from brain.revoked_tokens
      where org_id = one.org_id and expires_at < now() limit max_rows for update skip locked);

    -- A day old at least: a name that is about to be used has been made a moment ago.
    delete from brain.entities
    where org_id = one.org_id and (space_id, key) in (
      select space_id, key from brain.entities as idle
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
      limit max_rows for update skip locked);
  end loop;
  return purged;
end
$$;
comment on function app.purge_expired(int) is 'Takes away what has had its time. Called by the service each hour.';
revoke all on function app.purge_expired(int) from public, brain_app;
grant execute on function app.purge_expired(int) to brain_app;
--! EndIncluded purge.sql

-- What the memories there are mention.
select app.derive(org_id, array_agg(id), true)
from (
  select org_id, id, row_number() over (partition by org_id order by id) / 1000 as part
  from brain.memories
  where state <> 'deleted'
) as parts
group by org_id, part;
