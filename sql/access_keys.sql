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
