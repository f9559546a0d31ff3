--! Previous: sha1:13f77c97fd8c3d90f3465c9afbbcd31100371164
--! Hash: sha1:054d1201172a6c3e4a2995f89c511f168f40308b
--! Message: the audit

-- What was done and what was refused: the audit, its chain; tokens revoked by their owners; memories that replace others.

-- Tokens without a name cannot be told apart, nor revoked.
delete from brain.revoked_tokens where jti = '';
alter table brain.revoked_tokens add constraint revoked_tokens_jti_not_empty check (jti <> '');

alter table brain.memories add column supersedes uuid;
comment on column brain.memories.supersedes is
  'The memory this one replaces. No foreign key: that would accept an id its writer cannot see, and write when it goes.';
create index memories_supersedes_idx on brain.memories (org_id, space_id, supersedes) where supersedes is not null;

-- They change their signatures.
drop function app.enter(text, text, text, text[]);
drop function app.search_lexical(text, text[], text[], text[], text[], text[], int);

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

-- Of what a request is told in the audit, and in nothing that decides.
create or replace function app.current_app() returns text
language sql stable parallel safe
as $$ select nullif(current_setting('app.current_app', true), '') $$;

create or replace function app.current_request_id() returns text
language sql stable parallel safe
as $$ select nullif(current_setting('app.current_request_id', true), '') $$;

create or replace function app.current_spaces() returns int[]
language sql stable parallel safe
as $$ select coalesce(nullif(current_setting('app.current_spaces', true), ''), '{}')::int[] $$;

revoke all on schema brain, app from public, brain_app;
grant usage on schema brain, app to brain_app;
revoke all on function app.current_org_id(), app.current_user_id(), app.current_sub(), app.current_spaces(),
  app.current_app(), app.current_request_id()
  from public, brain_app;
grant execute on function app.current_org_id(), app.current_user_id(), app.current_sub(), app.current_spaces()
  to brain_app;
--! EndIncluded context.sql

create table brain.audit_events (
  org_id uuid not null, -- no reference: an attempt can be refused before its org is seen
  id uuid not null default gen_random_uuid(),
  at timestamptz not null default clock_timestamp(),
  user_id uuid default app.current_user_id(), -- no reference: it outlives the user
  sub text default coalesce(app.current_sub(), 'system'),
  app text default app.current_app(),
  access_entities text[] default '{}',
  salt uuid default gen_random_uuid(),
  action text not null check (char_length(action) between 1 and 256),
  outcome text not null default 'done' check (outcome in ('done', 'denied')),
  code text,
  targets text[] not null default '{}',
  changed text[] not null default '{}',
  request_id text default app.current_request_id(),
  -- Given by the sealer, all three at once.
  payload_digest bytea,
  seq bigint,
  hash bytea,
  primary key (org_id, id),
  unique (org_id, seq),
  check (num_nulls(payload_digest, seq, hash) in (0, 3))
);
comment on table brain.audit_events is 'Who did what to which ids, and what was refused. Appended and chained by functions alone.';
comment on column brain.audit_events.salt is 'Without it the digest would tell an erased name to whoever guesses it.';
create index audit_events_unsealed_idx on brain.audit_events (org_id, at, id) where seq is null;
create index audit_events_newest_idx on brain.audit_events (org_id, at desc, id desc);

create table brain.audit_chains (
  org_id uuid primary key,
  seq bigint not null default 0,
  hash bytea not null default '',
  sealed_at timestamptz not null default '-infinity'
);
comment on table brain.audit_chains is 'The end of each org''s chain of audit events.';

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
create policy own_apps on brain.apps for select to brain_app
  using (org_id = (select app.current_org_id()) and owner_id = (select app.current_user_id()));

revoke all on brain.orgs, brain.users, brain.spaces, brain.revoked_tokens, brain.apps from public, brain_app;
grant select on brain.orgs, brain.users, brain.spaces, brain.apps to brain_app;

revoke all on function app.org_key(text), app.held_grants(text, text[]), app.limit_time(),
  app.enter(text, text, text, text[], text, text), app.provision(text, text, text[], text[], text),
  app.revoke_token(text, timestamptz)
  from public, brain_app;
grant execute on function app.enter(text, text, text, text[], text, text), app.provision(text, text, text[], text[], text),
  app.revoke_token(text, timestamptz) to brain_app;
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
          code_refs, source, metadata, supersedes),
  update (space_id, content, category, artifact_type, artifact_ref, entities, thread, evidence, tags, code_refs,
          source, metadata, supersedes, state)
  on brain.memories to brain_app;

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
--! EndIncluded memories.sql
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
  words text, phrases text[], excluded text[], states text[], categories text[], access_entities text[],
  include_superseded boolean, max_hits int
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
  every_visible constant int[] := app.current_spaces();
  visible int[] := every_visible;
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
  select string_agg('''' || replace(replace(lexeme, E'\\', E'\\\\'), '''', '''''') || '''', ' | ')::tsquery into any_of
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
             and (none_of is null or not terms @@ none_of)
             -- Only by one the caller sees: a hidden one would tell of itself.
             and (include_superseded or not exists (
               select from brain.memories as newer
               where newer.org_id = caller_org and newer.space_id = any (every_visible)
                 and newer.supersedes is not null and newer.supersedes = memories.id and newer.state = 'active')) as fits
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
comment on function app.search_lexical(text, text[], text[], text[], text[], text[], boolean, int) is
  'Ids and scores of the caller''s memories that match, best first.';
revoke all on function app.search_lexical(text, text[], text[], text[], text[], text[], boolean, int) from public, brain_app;
grant execute on function app.search_lexical(text, text[], text[], text[], text[], text[], boolean, int) to brain_app;
--! EndIncluded search.sql
