--! Previous: sha1:7d45bc707ebc94cafb6de4418d8e43c2c4dc4076
--! Hash: sha1:4bb92b50310ce6ee0700b2a15ebaafb9ebcd7fe1
--! Message: callers enter by an index

-- A caller's spaces are looked up by their index from the first transaction of a connection on: told by 000018 that all
-- spaces may be of one org, the planner read those of all orgs for a grant that many of them know.

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
  -- Before the spaces are looked for: told nothing of how many an org has, the planner read those of all orgs for a grant
  -- that many of them know. The index that finds them is read by a bitmap scan, so that one goes off after it.
  seqscan constant text := set_config('enable_seqscan', 'off', true);
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
