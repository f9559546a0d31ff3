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
