import type { Tx } from "../db.ts";
import { isOneTypoAway } from "./spelling.ts";

/** A term of a query, and what it weighs: the weights of all of them add up to 1. */
export interface Term {
  term: string;
  weight: number;
  /** How many of the caller's memories have it, counted up to MOST_COUNTED. */
  memories: number;
}

/** Beyond, a term tells next to nothing, and counting on would take its time. */
const MOST_COUNTED = 30_000;
const MOST_TERMS = 64;
/** What a word weighs that stands for a misspelt one. */
const GUESSED = 0.8;
const MOST_SPELLINGS = 16;
const MOST_LIKE_IT = 1000;

/** The condition that rows belong to some of the caller's spaces; null means all of them, as the policies say. */
export const ofSpaces = (tx: Tx, space_ids: readonly number[] | null) =>
  space_ids === null ? tx`true` : tx`space_id = any (${space_ids as number[]})`;

interface Analysis {
  words: string[] | null;
  counts: number[];
  unknown: string[];
  memories: number;
}

/** How much a term tells that so many of all the memories have: the inverse document frequency of BM25. */
const rarity = (having: number, all: number) => Math.log(1 + (Math.max(all - having, 0) + 0.5) / (having + 0.5));

/** A query's terms that some memory of the caller's has, the rarest first, in the caller's memories of these spaces. Misspelt words stand for what they come near to. */
export async function termsOf(tx: Tx, query: string, space_ids: readonly number[] | null): Promise<Term[]> {
  const { words, counts, unknown, memories } = await analyse(tx, query, space_ids);
  const weights = new Map<string, Omit<Term, "term">>();
  const add = (known: Analysis["words"], counted: number[], share: number) => {
    for (const [place, term] of (known ?? []).entries()) {
      const count = counted[place] ?? 0;
      if (count > 0 && !weights.has(term))
        weights.set(term, { memories: count, weight: share * rarity(count, memories) });
    }
  };
  add(words, counts, 1);
  if (unknown.length > 0 && counts.includes(0)) {
    const guesses = await spelledLike(tx, unknown, space_ids);
    const guessed = guesses.length > 0 ? await analyse(tx, guesses.join(" "), space_ids) : null;
    if (guessed) add(guessed.words, guessed.counts, GUESSED);
  }
  const sum = [...weights.values()].reduce((total, { weight }) => total + weight, 0);
  const terms = [...weights].map(([term, { memories: count, weight }]) => ({
    term,
    memories: count,
    weight: weight / sum,
  }));
  return terms.sort((one, other) => one.memories - other.memories);
}

async function analyse(tx: Tx, query: string, space_ids: readonly number[] | null): Promise<Analysis> {
  const [found] = await tx<Analysis[]>`
    with asked as materialized (
      select (array(select word from unnest(words) as word order by char_length(word) desc, word))[1:${MOST_TERMS}::int]
               as words,
             spellings
      from app.words_in(${query})
    )
    select words,
           array(select (select count(*)::int
                         from (select from brain.memory_terms
                               where term = word and ${ofSpaces(tx, space_ids)} limit ${MOST_COUNTED}) as counted)
                 from unnest(words) with ordinality as each (word, place) order by place) as counts,
           array(select spelling from unnest(spellings) as spelling
                 -- As a scalar: a join would read the whole list of words.
                 where (select word from brain.space_words
                        where word >= spelling and word <= spelling and ${ofSpaces(tx, space_ids)}
                        order by word limit 1) is null
                 order by spelling limit ${MOST_SPELLINGS}) as unknown,
           memories,
           -- For the rest of this transaction: before the first analyze a sort over the rows of the whole org seems
           -- cheaper to the planner than the index that has them in order.
           set_config('enable_sort', 'off', true)
    from asked
    cross join (select coalesce(sum(memories), 0)::int as memories
                from brain.space_sizes where ${ofSpaces(tx, space_ids)}) as sizes`;
  if (!found) throw new Error("an aggregate gave no row");
  return found;
}

/**
 * The words of the caller's memories that are one typo away from words that none has. One typo leaves the first half of
 * a word as it is, or the last: so few words of the sorted list are looked at.
 */
async function spelledLike(tx: Tx, words: readonly string[], space_ids: readonly number[] | null): Promise<string[]> {
  const asked = words.map((word) => {
    const letters = [...word];
    const half = Math.max(1, Math.floor((letters.length - 2) / 2));
    return { word, beginning: letters.slice(0, half).join(""), ending: letters.reverse().slice(0, half).join("") };
  });
  const rows = await tx<{ asked: string; near: string }[]>`
    select distinct given.word as asked, near.word as near
    from json_to_recordset(${JSON.stringify(asked)}::text::json) as given (word text, beginning text, ending text)
    cross join lateral (
      (select word from brain.space_words
       where word >= beginning and word < beginning || ${LAST_CHARACTER}
         and abs(char_length(word) - char_length(given.word)) <= 1 and ${ofSpaces(tx, space_ids)}
       limit ${MOST_LIKE_IT})
      union all
      (select word from brain.space_words
       where backwards >= ending and backwards < ending || ${LAST_CHARACTER}
         and abs(char_length(word) - char_length(given.word)) <= 1 and ${ofSpaces(tx, space_ids)}
       limit ${MOST_LIKE_IT})
    ) as near`;
  return rows.filter(({ asked: word, near }) => isOneTypoAway(word, near)).map(({ near }) => near);
}

/** No word goes on beyond it. */
const LAST_CHARACTER = "\u{10FFFF}";
