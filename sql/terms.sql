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
  )
  insert into brain.space_words (org_id, space_id, word)
  select distinct org_id, space_id, word
  from told
  cross join lateral unnest(spellings) as word
  order by org_id, space_id, word
  on conflict do nothing;
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
  )
  delete from brain.memory_terms
  using told
  where memory_terms.org_id = told.org_id and memory_terms.space_id = told.space_id
    and term = any (words) and memory_id = told.id;

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

-- Definer: the service may write no terms by itself.
create or replace function app.tg_memories__terms() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
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

revoke all on function app.add_terms(brain.memories[]), app.remove_terms(brain.memories[]), app.tg_memories__terms()
  from public, brain_app;
