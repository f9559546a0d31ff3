import type { Tx } from "../db.ts";
import { type Filter, within } from "../memories/filter.ts";
import { liftsOf, mostLifted } from "./context.ts";
import { linksOf } from "./graph.ts";
import { fitting, lexicalHits } from "./lexical.ts";
import { labelledBy } from "./named.ts";
import { type ParsedQuery, parseQuery } from "./query.ts";
import type { Context, Result, Why } from "./schema.ts";
import { termsOf } from "./terms.ts";
import { scoresInThreads } from "./threads.ts";

/** So many of the best are ranked by more than their own words. */
const RANKED = 200;
/** What a memory earns by its words is multiplied by where the query names whose or what it is, before all is divided by it. */
const NAMED = 1.5;

/** A memory in its place, and what brought it there. */
export interface Ranked {
  id: string;
  score: number;
  matched: Result["matched"];
  why: Why;
}

/** What is to be ranked, how far down, and up to where matches are counted. */
export interface Wanted {
  query: string;
  filter: Filter;
  context?: Context | undefined;
  keep: number;
  count_to: number;
}

/** The best memories in their order, and how many match, counted to `count_to`. */
export async function rank(tx: Tx, { query, filter, context = {}, keep, count_to }: Wanted) {
  const parsed = parseQuery(query);
  const space_ids = await spacesFor(tx, filter);
  const terms = await termsOf(tx, parsed.words, space_ids);
  const { hits, total } = await lexicalHits(tx, parsed, terms, {
    filter,
    space_ids,
    keep: Math.max(RANKED, keep),
    count_to,
  });
  const in_threads = await scoresInThreads(tx, terms, hits, filter.states, space_ids);
  const { earned: links, named } = parsed.words ? await linksOf(tx, parsed.words, hits, space_ids) : NO_LINKS;
  const own = new Map(hits.map(({ id, score }) => [id, score]));
  const added = [...in_threads.keys(), ...links.keys()].filter((id) => !own.has(id));
  const fits = await fittingOf(tx, added, filter, parsed, space_ids);
  const ids = [...own.keys(), ...fits];
  const first = [...hits.slice(0, RANKED).map(({ id }) => id), ...fits];
  const labelled = await labelledBy(tx, first, terms);
  const lifts = Object.keys(context).length > 0 ? await liftsOf(tx, first, context) : null;
  const told = terms.map(({ term, weight }) => ({ term, weight }));

  const ranking = ids.map((id): Ranked => {
    const words = in_threads.get(id) ?? own.get(id) ?? 0;
    const why: Why = {
      words,
      terms: told,
      named: labelled.has(id) || named.has(id),
      linked: links.get(id) ?? 0,
      lifts: lifts?.get(id) ?? {},
    };
    const matched: Result["matched"] = [];
    if (own.has(id)) matched.push("lexical");
    if (words > (own.get(id) ?? 0)) matched.push("thread");
    if (why.linked > 0) matched.push("graph");
    return { id, score: scoreFrom(why, context), matched, why };
  });
  ranking.sort((one, other) => other.score - one.score || (one.id < other.id ? 1 : -1));
  return { ranking, total: Math.max(total, Math.min(ranking.length, count_to)) };
}

const NO_LINKS = { earned: new Map<string, number>(), named: new Set<string>() };

/** The one score: 0 to 1. */
function scoreFrom({ words, named, linked, lifts }: Why, context: Context): number {
  const said = named ? words : words / NAMED;
  const lifted = Object.values(lifts).reduce((product, lift) => product * lift, 1) / mostLifted(context);
  return Number(((1 - (1 - said) * (1 - linked)) * lifted).toFixed(6));
}

/** The spaces a filter names, those the caller sees; null where it names none. */
async function spacesFor(tx: Tx, filter: Filter): Promise<number[] | null> {
  if (filter.access_entities === null && filter.scopes === null) return null;
  const rows = await tx<{ id: number }[]>`select id from brain.spaces where ${within(tx, filter)}`;
  return rows.map(({ id }) => id);
}

/** Which of these memories a search may find. */
async function fittingOf(
  tx: Tx,
  ids: readonly string[],
  filter: Filter,
  { phrases, excluded }: ParsedQuery,
  space_ids: readonly number[] | null,
): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const rows = await tx<{ id: string }[]>`
    select id from brain.memories
    where id = any (${ids as string[]}::uuid[]) and (${space_ids as number[] | null}::int[] is null or space_id = any (${space_ids as number[] | null}))
      and ${fitting(tx, filter, phrases, excluded)}`;
  return new Set(rows.map(({ id }) => id));
}
