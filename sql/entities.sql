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
  where strpos(content, '`') > 0 -- most texts have none: to look for it is less than to try the pattern
  union all
  select coalesce(found[1], found[2]), 'text'
  from regexp_matches(content,
    '(?:^|[\s(,;:])(?:(@[a-z0-9][\w.-]*/[a-z0-9][\w.-]*)|@(\w(?:[\w.-]*\w)?))', 'g') as found
  where strpos(content, '@') > 0
  union all
  select found[1], 'text'
  from regexp_matches(content,
    '(?:^|[\s("''])((?:[\w@.-]*/)+[\w@.-]*\.[A-Za-z]\w*)', 'g') as found
  where strpos(content, '/') > 0
$$;
comment on function app.names_in(text[], text, jsonb, text) is 'The names a memory gives or shows, in any spelling, with where each stands.';
revoke all on function app.names_in(text[], text, jsonb, text) from public, brain_app;

-- The keys that runs of one to four words of a text make: a name of a space is found in a text by its key, in any
-- spelling. Words of the first 16,384 characters, a line's end or not between them. The planner puts it into the
-- statement that calls it. Null where fewer words follow; any length.
-- The keys of plain ASCII are those of the whole text, which took a quarter of the time that a key for each word takes.
create or replace function app.runs_in(content text) returns table (runs text[])
language sql immutable parallel safe
as $$
  select array_agg(one) || array_agg(one || two) || array_agg(one || two || three) || array_agg(one || two || three || four)
  from (
    select case
             when octet_length(start) = char_length(start) then array_remove(
               regexp_split_to_array(lower(replace(replace(replace(start, '.', ''), '_', ''), '-', '')),
                                     '[\s,;:!?()\[\]{}"''`<>|=*]+'), '')
             else array(
               select key
               from regexp_split_to_table(start, '[\s,;:!?()\[\]{}"''`<>|=*]+') with ordinality as split (word, place)
               cross join lateral (select app.entity_key(word) as key offset 0) as made
               where key <> ''
               order by place)
           end as words
    from (select left(content, 16384) as start offset 0) as cut
    offset 0
  ) as split
  cross join lateral unnest(words, words[2:], words[3:], words[4:]) as following (one, two, three, four)
$$;
comment on function app.runs_in(text) is 'The entity keys a text could name, in one array.';

-- Those of them that may be the key of a name. In plpgsql, whose statements are planned once.
create or replace function app.keys_in(content text) returns setof text
language plpgsql immutable strict parallel safe rows 100
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    select run from app.runs_in(content) cross join lateral unnest(runs) as run where char_length(run) between 3 and 256;
end
$$;
comment on function app.keys_in(text) is 'The entity keys a text could name; one that is there twice comes twice.';
revoke all on function app.keys_in(text), app.runs_in(text) from public, brain_app;
grant execute on function app.keys_in(text), app.runs_in(text) to brain_app; -- a search looks for the entities its query names

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
set enable_memoize = off -- no two texts have the same runs
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
  max_mentions constant int := 64;
  -- The surest first; last what a text shows only because the space knows the name.
  origins constant text[] := array['given', 'artifact', 'code', 'text', 'text'];
  max_key_bytes constant int := 1024; -- a key of 256 characters may grow by NFKC, and an index entry has its limit
  one uuid;
  new_spaces int[];
  new_keys text[];
  new_names text[];
  new_ranks int[];
  has_decisions boolean;
begin
  if not are_new then
    foreach one in array memory_ids loop
      delete from brain.memory_entities where org_id = of_org and memory_id = one;
      delete from brain.events where org_id = of_org and memory_id = one and is_derived;
    end loop;
  end if;

  with told as materialized (
    select id, space_id, state, category, entities, artifact_ref, code_refs, content
    from unnest(memory_ids) as wanted
    cross join lateral (
      select * from brain.memories where org_id = of_org and id = wanted
      limit 1 -- a look-up for each, whatever the planner thinks of the table
    ) as memory
    where state <> 'deleted'
  ),
  own as materialized (
    select distinct on (id, key) id, space_id, state, key, name, rank
    from (
      select told.id, space_id, state, app.entity_key(name) as key, name, array_position(origins, origin) as rank
      from told
      cross join lateral (
        select btrim(name) as name, origin from app.names_in(told.entities, artifact_ref, code_refs, content) offset 0
      ) as trimmed
      where char_length(name) between 1 and 256
      offset 0 -- a key is made once
    ) as named
    where key <> '' and octet_length(key) <= max_key_bytes
    order by id, key, rank, name
  ),
  added as (
    insert into brain.memory_entities (org_id, space_id, memory_id, key, origin, is_active)
    select of_org, space_id, id, key, origins[rank], state = 'active'
    from (
      -- The surest of each key.
      select id, space_id, state, key, min(rank) as rank,
             row_number() over (partition by id order by min(rank), key) as place
      from (
        select id, space_id, state, key, rank from own
        union all
        -- Names the space knows already, among all of a text's runs in one look at the index.
        select id, space_id, state, key, cardinality(origins)
        from told
        cross join lateral (select runs from app.runs_in(content) offset 0) as said
        cross join lateral (
          select key from brain.entities
          where org_id = of_org and entities.space_id = told.space_id and key = any (runs) and has_words
            and char_length(key) between 3 and 256
          offset 0
        ) as known
      ) as found
      group by id, space_id, state, key
    ) as mentioned
    where place <= max_mentions
  )
  select array_agg(space_id), array_agg(key), array_agg(name), array_agg(rank),
         exists (select from told where category = 'decision' and state = 'active')
  into new_spaces, new_keys, new_names, new_ranks, has_decisions
  from own
  where not exists (
    select from brain.entities
    where org_id = of_org and entities.space_id = own.space_id and entities.key = own.key
    offset 0);

  -- An insert of no rows runs the triggers of statements all the same, and most names are known.
  if cardinality(new_keys) > 0 then
    -- In one order, or two writers with the same new names would wait for each other.
    insert into brain.entities (org_id, space_id, key, display_name)
    select distinct on (space_id, key) of_org, space_id, key, name
    from unnest(new_spaces, new_keys, new_names, new_ranks) as made (space_id, key, name, rank)
    order by space_id, key, rank, name
    on conflict do nothing;
  end if;

  if not has_decisions then
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
declare
  gone record;
begin
  if tg_op = 'INSERT' then
    perform app.derive(org_id, array_agg(id), true) from touched group by org_id;
    return null;
  end if;
  if tg_op = 'DELETE' then
    for gone in select org_id, id from touched loop
      delete from brain.memory_entities where org_id = gone.org_id and memory_id = gone.id;
    end loop;
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
create or replace trigger _650_derive_delete after delete on brain.memories
  referencing old table as touched for each statement execute function app.tg_memories__derive();

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
