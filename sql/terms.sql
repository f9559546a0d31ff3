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

-- A text with blanks for the signs that join words. Sign by sign: a pattern took twice as long, translate() five times.
create or replace function app.without_signs(said text) returns text
language sql immutable parallel safe
as $$
  select replace(replace(replace(replace(replace(replace(replace(replace(
           said, '_', ' '), '.', ' '), '/', ' '), '\', ' '), '-', ' '), ':', ' '), '#', ' '), '@', ' ')
$$;

-- What of a text its terms are made of. `symbols`: words joined by signs, with an underscore, or with an upper case
-- letter after a lower one. `split`: the text with its symbols parted into words. `pieces`: each symbol as it stands, in
-- lower case, with its last step (door.ts of src/http/door.ts) and what its dots and colons part (a_b of x.a_b).
-- These are functions that the planner puts into the statement which calls them: nothing is started for
-- each text. Most texts have no symbols, and nothing is done for those.
create or replace function app.parted(said text) returns table (symbols text[], split text, pieces text[])
language sql immutable parallel safe
as $$
  select symbols,
         case
           when symbols = '{}' then plain
           else plain || ' ' || array_to_string(array(
             select regexp_replace(regexp_replace(app.without_signs(symbol), '([a-z0-9])([A-Z])', '\1 \2', 'g'),
                                   '([A-Z])([A-Z][a-z])', '\1 \2', 'g')
             from unnest(symbols) as symbol
             where symbol ~ '[a-z0-9][A-Z]'), ' ')
         end,
         case
           when symbols = '{}' then symbols
           else array(
             select lower(piece)
             from unnest(symbols) as symbol
             cross join lateral (
               select distinct piece
               from unnest(array[symbol, substring(symbol from '[^/\\]+$')] || regexp_split_to_array(symbol, '[./\\:#@]+'))
                      as part (piece)
             ) as pieces
             where symbol ~ '[^[:alnum:]]' and piece ~ '[^[:alnum:]]')
         end
  from (
    select array(
             select matched[1]
             from regexp_matches(said, '\w+(?:[-./\\:#@]+\w+)+|\w*_\w*|\w*[a-z0-9][A-Z]\w*', 'g') as matched
             where octet_length(matched[1]) between 3 and 256) as symbols,
           app.without_signs(said) as plain
    offset 0
  ) as found
$$;
comment on function app.parted(text) is 'What of a text its terms and spellings are made of.';

-- The terms: the English stems of its words, and the pieces of its symbols.
create or replace function app.counted(stems tsvector, pieces text[]) returns table (term text, frequency int)
language sql immutable parallel safe
as $$
  select lexeme, cardinality(positions) from unnest(stems) as stem (lexeme, positions, weights)
  union all
  select piece, count(*)::int from unnest(pieces) as piece group by piece
$$;
comment on function app.counted(tsvector, text[]) is 'The terms of a text with how often each is in it.';

-- The spellings: its words and symbols in lower case, 4 to 64 characters each, what a misspelt word is compared with.
-- One that is a word and a symbol comes twice.
create or replace function app.spelt(split text, symbols text[]) returns setof text
language sql immutable parallel safe
as $$
  select word from unnest(tsvector_to_array(to_tsvector('simple', split))) as word where char_length(word) between 4 and 64
  union all
  select lower(symbol) from unnest(symbols) as symbol where char_length(symbol) between 4 and 64
$$;
comment on function app.spelt(text, text[]) is 'How the words of a text are spelt.';

create or replace function app.words_in(said text, out words text[], out counts int[], out spellings text[])
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  select terms.words, terms.counts, array(select distinct word from app.spelt(split, symbols) as word)
  into words, counts, spellings
  from app.parted(said)
  cross join lateral (
    select array_agg(term) as words, array_agg(frequency) as counts
    from app.counted(to_tsvector('english', split), pieces)
  ) as terms;
end
$$;
comment on function app.words_in(text) is 'The terms of a text with how often each is in it, and how its words are spelt.';

-- What of a memory is found by words.
create or replace function app.said_in(
  content text, artifact_ref text, entities text[], evidence text[], code_refs jsonb
) returns table (said text)
language sql stable parallel safe
as $$
  select concat_ws(E'\n', content, artifact_ref, array_to_string(entities, E'\n'), array_to_string(evidence, E'\n'), (
                     select string_agg(concat_ws(E'\n', ref ->> 'path', ref ->> 'symbol'), E'\n')
                     from jsonb_array_elements(code_refs) as ref))
$$;

create or replace function app.said_by(memory brain.memories) returns text
language sql stable parallel safe
as $$
  select said
  from app.said_in(memory.content, memory.artifact_ref, memory.entities, memory.evidence, memory.code_refs)
$$;

revoke all on function app.words_in(text), app.said_by(brain.memories), app.without_signs(text), app.parted(text), app.counted(tsvector, text[]),
  app.spelt(text, text[]), app.said_in(text, text, text[], text[], jsonb) from public, brain_app;
-- A search splits its query, and what app.words_in() is made of is looked at with its caller's rights.
grant execute on function app.words_in(text), app.without_signs(text), app.parted(text), app.counted(tsvector, text[]),
  app.spelt(text, text[]) to brain_app;

-- Writes the terms of memories that have none yet. Sorted, for the sake of the indices, and so that two writers with
-- the same new words do not wait for each other. Called by the trigger below, and by migrations.
create or replace function app.add_terms(orgs uuid[], spaces int[], ids uuid[], texts text[]) returns void
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
    select org_id, space_id, id, symbols, split, pieces, to_tsvector('english', split) as stems
    from unnest(orgs, spaces, ids, texts) as given (org_id, space_id, id, said)
    cross join lateral app.parted(said)
  ),
  added as (
    insert into brain.memory_terms (org_id, space_id, term, memory_id, earned)
    select org_id, space_id, term, id, frequency / (frequency + (pivot + length) / usual)
    from told
    cross join lateral (
      select cardinality(pieces) + coalesce(sum(cardinality(positions)), 0) as length
      from unnest(stems) as stem (lexeme, positions, weights)
    ) as measured
    cross join lateral app.counted(stems, pieces)
    order by term
  )
  -- A word that is there is met by the insert itself, which asks the key: by a look before it the planner went, as long
  -- as nobody had told it how many words there are, along all of the space's.
  insert into brain.space_words (org_id, space_id, word)
  select distinct org_id, space_id, word from told cross join lateral app.spelt(split, symbols) as word
  order by word, org_id, space_id
  on conflict do nothing;
end
$$;

-- Takes the terms of memories away again, as they were, and the spellings that no memory of their space has any more.
create or replace function app.remove_terms(memories brain.memories[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off -- each term by its key, whatever the planner thinks of how many there are
set enable_bitmapscan = off
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

  -- What a word's terms are is asked once, and then whether one of them is there, by its key: as a join PostgreSQL 15 asked
  -- both for each pair of a word and a term, and to delete a hundred memories took minutes.
  delete from brain.space_words
  using (
    select org_id, space_id, word
    from (
      select distinct org_id, space_id, word
      from unnest(memories) as memory
      cross join lateral app.words_in(app.said_by(memory::brain.memories))
      cross join lateral unnest(spellings) as word
      where state <> 'deleted'
      offset 0
    ) as said
    cross join lateral (select words from app.words_in(said.word) offset 0) as stemmed
    where not exists (
      select from unnest(stemmed.words) as stem
      cross join lateral (
        select from brain.memory_terms
        where memory_terms.org_id = said.org_id and memory_terms.space_id = said.space_id and term = stem
        limit 1
      ) as there
      offset 0)
  ) as gone
  where space_words.org_id = gone.org_id and space_words.space_id = gone.space_id and space_words.word = gone.word;
end
$$;

-- Definer: the service may write no terms by itself.
create or replace function app.tg_memories__terms() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  before brain.memories[];
  orgs uuid[];
  spaces int[];
  ids uuid[];
  texts text[];
begin
  if tg_op = 'INSERT' then
    select array_agg(org_id), array_agg(space_id), array_agg(id), array_agg(said) into orgs, spaces, ids, texts
    from rows_after
    cross join lateral app.said_in(content, artifact_ref, entities, evidence, code_refs)
    where state <> 'deleted';
  elsif tg_op = 'DELETE' then
    before := array(select rows_before::brain.memories from rows_before where state <> 'deleted');
  else
    with changed as materialized (
      select rows_before::brain.memories as was, rows_after.*, said_after.said
      from rows_before
      join rows_after using (org_id, id)
      cross join lateral app.said_in(rows_before.content, rows_before.artifact_ref, rows_before.entities,
                                     rows_before.evidence, rows_before.code_refs) as said_before
      cross join lateral app.said_in(rows_after.content, rows_after.artifact_ref, rows_after.entities,
                                     rows_after.evidence, rows_after.code_refs) as said_after
      where (rows_before.space_id, rows_before.state = 'deleted', said_before.said)
            is distinct from (rows_after.space_id, rows_after.state = 'deleted', said_after.said)
    )
    select array_agg(was), array_agg(org_id) filter (where state <> 'deleted'),
           array_agg(space_id) filter (where state <> 'deleted'), array_agg(id) filter (where state <> 'deleted'),
           array_agg(said) filter (where state <> 'deleted')
    into before, orgs, spaces, ids, texts
    from changed;
  end if;

  if cardinality(before) > 0 then
    perform app.remove_terms(before);
  end if;
  if cardinality(ids) > 0 then
    perform app.add_terms(orgs, spaces, ids, texts);
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

revoke all on function app.add_terms(uuid[], int[], uuid[], text[]), app.remove_terms(brain.memories[]),
  app.tg_memories__terms() from public, brain_app;
