import type { Tx } from "../db.ts";
import { type Filter, matching } from "../memories/filter.ts";
import { labelOf } from "./named.ts";
import type { ParsedQuery } from "./query.ts";
import { ofSpaces, type Term } from "./terms.ts";

/** A memory that has words of the query, and what they earn it: 0 to 1. */
export interface Hit {
  id: string;
  score: number;
  has_thread: boolean;
  label: string | null;
}

/** Postings of the rarer terms are read up to about here to say which memories are candidates at all. */
const MOST_POSTINGS = 10_000;
/** So many more of the best than are counted are looked at first; more, and at last all, where filters leave too few. */
const SPARES = [50, 1000];
/** The commoner terms are looked up for so many of the best by the rarer ones. */
const LOOKED_UP = 500;

/**
 * The best memories by the words themselves, at most `keep` of them, and how many fit, counted to `count_to`. Those that
 * have none but the most frequent words of the query are left out where reading them all would take its time.
 */
export async function lexicalHits(
  tx: Tx,
  { phrases, excluded }: ParsedQuery,
  terms: readonly Term[],
  { filter, space_ids, keep, count_to }: Reach,
): Promise<{ hits: Hit[]; total: number }> {
  if (terms.length === 0) return { hits: [], total: 0 };
  const { rarer, commoner } = divided(terms, MOST_POSTINGS);
  const wanted = Math.max(count_to, keep);
  const tries = [...SPARES.map((spare) => wanted + spare), null];
  for (const among of tries) {
    const [found] = await tx<{ hits: [string, number, boolean, string | null][]; total: number; candidates: number }[]>`
      with rarer as (${table(tx, rarer)}),
      commoner as (${table(tx, commoner)}),
      scored as (
        select memory_id, sum(weight * earned) as score
        from rarer
        cross join lateral (
          -- Kept apart by its offset: joined otherwise, all terms of the space may be read.
          select memory_id, earned from brain.memory_terms as terms
          where terms.term = rarer.term and ${ofSpaces(tx, space_ids)} offset 0
        ) as found
        group by memory_id
      ),
      best as materialized (
        select memory_id, score from scored order by score desc, memory_id desc limit ${among}
      ),
      whole as (
        select memory_id,
               score + ${
                 commoner.length === 0
                   ? tx`0`
                   : tx`case when place <= ${LOOKED_UP} then coalesce((
                       select sum(weight * earned)
                       from commoner
                       cross join lateral (
                         select earned from brain.memory_terms as terms
                         where terms.term = commoner.term and memory_id = best.memory_id
                           and ${ofSpaces(tx, space_ids)} limit 1
                       ) as found), 0) else 0 end`
               } as score
        from (select *, row_number() over (order by score desc, memory_id desc) as place from best) as best
      ),
      hits as materialized (
        select memory_id as id, score, has_thread, label
        from (select memory_id, score from whole order by score desc, memory_id desc) as ordered
        cross join lateral (
          select thread is not null as has_thread, ${labelOf(tx)} as label
          from brain.memories
          where memories.id = memory_id and ${ofSpaces(tx, space_ids)} and ${fitting(tx, filter, phrases, excluded)}
          limit 1
        ) as fits
        limit ${wanted}
      )
      -- As one JSON text, which is read in a tenth of the time that as many rows take.
      select (select count(*)::int from hits) as total, (select count(*)::int from best) as candidates,
             coalesce((select json_agg(json_build_array(id, score, has_thread, label) order by score desc, id desc)
                       from (select * from hits order by score desc, id desc limit ${keep}) as kept), '[]') as hits`;
    if (!found) throw new Error("an aggregate gave no row");
    if (found.total < wanted && among !== null && found.candidates === among) continue;
    return {
      hits: found.hits.map(([id, score, has_thread, label]) => ({ id, score, has_thread, label })),
      total: Math.min(found.total, count_to),
    };
  }
  return { hits: [], total: 0 };
}

/** What a search is allowed to find, and how much of it. */
export interface Reach {
  filter: Filter;
  /** The spaces to look in; null for all the caller sees. */
  space_ids: readonly number[] | null;
  keep: number;
  count_to: number;
}

/** The terms, rarest first, that are read in full, and those that are only looked up for what these have found. */
function divided(terms: readonly Term[], most: number): { rarer: Term[]; commoner: Term[] } {
  let postings = 0;
  const cut = terms.findIndex(({ memories }) => {
    postings += memories;
    return postings > most;
  });
  const at = cut === -1 ? terms.length : Math.max(cut, 1);
  return { rarer: terms.slice(0, at), commoner: terms.slice(at) };
}

const table = (tx: Tx, terms: readonly Term[]) => tx`
  select * from unnest(${terms.map(({ term }) => term)}::text[], ${terms.map(({ weight }) => weight)}::float8[]) as given (term, weight)`;

/** What a memory must be to be found at all. */
export const fitting = (tx: Tx, filter: Filter, phrases: readonly string[], excluded: readonly string[]) => tx`
  ${matching(tx, filter)}
  -- As a scalar, which is looked up; a join might read all that replace anything.
  and (${filter.include_superseded}::boolean or (
    select newer.state from brain.memories as newer
    where newer.supersedes is not null and newer.supersedes = memories.id and newer.state = 'active' limit 1) is null)
  ${
    phrases.length === 0
      ? tx``
      : tx`and not exists (
    select from unnest(${phrases as string[]}::text[]) as phrase
    cross join lateral phraseto_tsquery('english', phrase) as wanted
    where numnode(wanted) > 0 and not terms @@ wanted)`
  }
  ${
    excluded.length === 0
      ? tx``
      : tx`and not exists (
    select from unnest(${excluded as string[]}::text[]) as phrase
    cross join lateral phraseto_tsquery('english', phrase) as unwanted
    where numnode(unwanted) > 0 and terms @@ unwanted)`
  }`;
