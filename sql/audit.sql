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

-- The same, each of one expression, so that the planner puts them into the statement that calls them: a field, and an
-- array of fields, of which most have one or none. No fields at all are null.
create or replace function app.framed_field(field text) returns text
language sql immutable parallel safe
as $$ select coalesce(octet_length(field)::text || ':' || field, '-') $$;

create or replace function app.framed_list(fields text[]) returns text
language sql immutable parallel safe
as $$
  select case
    when cardinality(fields) = 0 then null
    when cardinality(fields) = 1 and fields[1] is not null then octet_length(fields[1])::text || ':' || fields[1]
    else app.framed(variadic fields)
  end
$$;
revoke all on function app.framed_field(text), app.framed_list(text[]) from public, brain_app;

-- Chains what has been appended: each event gets the next number of its org and the hash over the event before and
-- itself. Outside the writes, which would wait for each other at the chain's end (930 writes/s against 2,480).
-- The chain's order is that of sealing: who commits late gets a later number, whatever its `at`.
-- A chain another process works on is passed over, and none takes more than its share while others wait.
-- Gives how many events it has sealed; as many as max_events: there may be more.
create or replace function app.seal_audit(max_events int) returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
-- One plan for good, which goes to each row by an index or its place.
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  max_of_one constant int := 500;
  sealed int := 0;
  -- In one order: two that made the chains of new orgs in different ones would wait for each other.
  waiting constant uuid[] := array(select distinct org_id from brain.audit_events where seq is null order by org_id);
  chain record;
  event record;
  places tid[];
  digests bytea[];
  hashes bytea[];
begin
  perform app.limit_time();
  insert into brain.audit_chains (org_id) select unnest(waiting) on conflict do nothing;

  for chain in
    select * from brain.audit_chains where org_id = any (waiting)
    order by sealed_at, org_id
    for update skip locked
  loop
    places := '{}';
    digests := '{}';
    hashes := '{}';
    -- All but the number and the hash before is framed for all of them at once: what depends on those is left to do
    -- for one after the other.
    for event in
      select place, digest,
             ',' || app.framed_field(id::text) || ',' || app.framed_field(moment) || ',' || app.framed_field(user_id::text)
             || ',' || app.framed_field(action) || ',' || app.framed_field(outcome) || ',' || app.framed_field(code)
             || ',' || app.framed_field(targets) || ',' || app.framed_field(changed)
             || ',' || app.framed_field(request_id) || ',' || app.framed_field(encode(digest, 'hex')) as framed
      from (
        select place, at, id, user_id, action, outcome, code, request_id,
               to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as moment,
               app.framed_list(targets) as targets, app.framed_list(changed) as changed,
               sha256(convert_to(
                 app.framed_field(salt::text) || ',' || app.framed_field(sub) || ',' || app.framed_field(app)
                 || ',' || app.framed_field(spaces), 'UTF8')) as digest
        from (
          select ctid as place, *, app.framed_list(access_entities) as spaces from brain.audit_events
          where org_id = chain.org_id and seq is null
          order by at, id
          limit least(max_of_one, max_events - sealed)
          for update
        ) as appended
        offset 0
      ) as digested
      order by at, id
    loop
      chain.seq := chain.seq + 1;
      chain.hash := sha256(
        chain.hash || convert_to(app.framed_field(chain.seq::text) || event.framed, 'UTF8'));
      places := places || event.place;
      digests := digests || event.digest;
      hashes := hashes || chain.hash;
    end loop;
    -- Another process may have sealed them since they were looked for.
    continue when cardinality(places) = 0;

    -- By their places, which they keep while they are locked: told little of the table, the planner looked for each id
    -- among all events of the org.
    update brain.audit_events
    set seq = chain.seq - cardinality(places) + next.number, hash = next.hash, payload_digest = next.digest
    from unnest(places, digests, hashes) with ordinality as next (place, digest, hash, number)
    where audit_events.ctid = next.place;
    sealed := sealed + cardinality(places);
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
