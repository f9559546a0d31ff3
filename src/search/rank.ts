import type { Tx } from "../db.ts";
import { type Filter, within } from "../memories/filter.ts";
import type { Settings } from "../settings/schema.ts";
import { settingsIn } from "../settings/service.ts";
import { liftsOf, mostLifted } from "./context.ts";
import { linksOf } from "./graph.ts";
import { fitting, lexicalHits, type Reach } from "./lexical.ts";
import { labelOf, labelsNamed } from "./named.ts";
import { type ParsedQuery, parseQuery } from "./query.ts";
import type { Context, Result, Why } from "./schema.ts";
import { type Meaning, semanticHits } from "./semantic.ts";
import { ofSpaces, type Term, termsOf } from "./terms.ts";
import { neighboursOf, scoresInThreads } from "./threads.ts";

/** So many of the best are ranked by more than their own words. */
const RANKED = 100;
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
  /** The query's vector; null to go by words and links alone. */
  meaning?: Meaning | null;
  /** By the vector alone, where there is one. */
  by_meaning_only?: boolean;
  keep: number;
  count_to: number;
}

/** The best memories in their order, and how many match, counted to `count_to`. */
export async function rank(tx: Tx, wanted: Wanted): Promise<{ ranking: Ranked[]; total: number }> {
  const { query, filter, context = {}, meaning = null, by_meaning_only = false, keep, count_to } = wanted;
  const parsed = parseQuery(query);
  const space_ids = await spacesFor(tx, filter);
  const by_words = !(meaning && by_meaning_only);
  // What does not wait for another's answer goes out with it, here and below.
  const [{ search: weights }, terms] = await Promise.all([
    settingsIn(tx),
    by_words ? termsOf(tx, parsed.words, space_ids) : [],
  ]);
  const reach = { filter, space_ids, keep: Math.max(RANKED, keep), count_to };
  const said = by_words ? await rankByWords(tx, parsed, terms, reach, weights.graph) : NOTHING_SAID;
  const meant = meaning ? await semanticHits(tx, meaning, parsed, filter, space_ids) : [];
  const ids = [...new Set([...said.ranking.slice(0, RANKED), ...meant.slice(0, RANKED)].map(({ id }) => id))];
  const lifts = Object.keys(context).length > 0 ? await liftsOf(tx, ids, context) : null;
  const ranking = fused(said.ranking, meant, weights).map(({ score, why, ...ranked }): Ranked => {
    const own = lifts?.get(ranked.id) ?? {};
    const lifted = Object.values(own).reduce((product, lift) => product * lift, 1) / mostLifted(context);
    return { ...ranked, score: Number((score * lifted).toFixed(6)), why: { ...why, lifts: own } };
  });
  ranking.sort(byScore);
  return { ranking, total: Math.max(said.total, Math.min(ranking.length, count_to)) };
}

const byScore = (one: Ranked, other: Ranked) => other.score - one.score || (one.id < other.id ? 1 : -1);

const NOTHING_SAID: { ranking: Ranked[]; total: number } = { ranking: [], total: 0 };

/** A place counts 1 / (SLOWNESS + place): what both ways have found comes before what only one has. */
const SLOWNESS = 60;

/** Both lists as one, by the reciprocals of the places in them, each as the org weighs it. Where one is empty, the other as it is. */
function fused(
  said: readonly Ranked[],
  meant: readonly { id: string; cosine: number }[],
  { lexical, semantic }: Settings["search"],
): Ranked[] {
  if (meant.length === 0) return [...said];
  if (said.length === 0)
    return meant.map(({ id, cosine }) => ({
      id,
      score: (1 + cosine) / 2,
      matched: ["semantic"],
      why: { ...NO_REASON, meaning: cosine },
    }));
  const whole = lexical + semantic || 1;
  const share = (place: number, weight: number) => ((SLOWNESS + 1) / (SLOWNESS + 1 + place)) * (weight / whole);
  const together = new Map(said.map((ranked, place) => [ranked.id, { ...ranked, score: share(place, lexical) }]));
  for (const [place, { id, cosine }] of meant.entries()) {
    const known = together.get(id) ?? { id, score: 0, matched: [], why: NO_REASON };
    together.set(id, {
      id,
      score: known.score + share(place, semantic),
      matched: [...known.matched, "semantic"],
      why: { ...known.why, meaning: cosine },
    });
  }
  return [...together.values()];
}

const NO_REASON: Why = { words: 0, terms: [], named: false, linked: 0, lifts: {} };

async function rankByWords(tx: Tx, parsed: ParsedQuery, terms: readonly Term[], reach: Reach, graph_weight: number) {
  const { filter, space_ids, count_to } = reach;
  const { hits, total } = await lexicalHits(tx, parsed, terms, reach);
  const [neighbours, { earned: links, named }] = await Promise.all([
    neighboursOf(tx, hits, filter.states),
    parsed.words && graph_weight > 0 ? linksOf(tx, parsed.words, hits, space_ids) : NO_LINKS,
  ]);
  const own = new Map(hits.map(({ id, score }) => [id, score]));
  const added = [...new Set([...neighbours.keys(), ...links.keys()])].filter((id) => !own.has(id));
  const [in_threads, fits] = await Promise.all([
    scoresInThreads(tx, terms, neighbours, space_ids),
    fittingOf(tx, added, filter, parsed, space_ids),
  ]);
  const labels = new Map([...hits.slice(0, RANKED).map(({ id, label }) => [id, label] as const), ...fits]);
  const named_labels = await labelsNamed(tx, labels.values(), terms);
  const told = terms.map(({ term, weight }) => ({ term, weight }));

  const ranking = [...own.keys(), ...fits.keys()].map((id): Ranked => {
    const words = in_threads.get(id) ?? own.get(id) ?? 0;
    const is_named = named.has(id) || named_labels.has(labels.get(id) ?? "");
    const linked = Math.min(1, (links.get(id) ?? 0) * graph_weight);
    const matched: Result["matched"] = [];
    if (own.has(id)) matched.push("lexical");
    if (words > (own.get(id) ?? 0)) matched.push("thread");
    if (linked > 0) matched.push("graph");
    const score = 1 - (1 - (is_named ? words : words / NAMED)) * (1 - linked);
    return { id, score, matched, why: { words, terms: told, named: is_named, linked, lifts: {} } };
  });
  return { ranking: ranking.sort(byScore), total: Math.max(total, Math.min(ranking.length, count_to)) };
}

const NO_LINKS = { earned: new Map<string, number>(), named: new Set<string>() };

/** The spaces a filter names, those the caller sees; null where it names none. */
async function spacesFor(tx: Tx, filter: Filter): Promise<number[] | null> {
  if (filter.access_entities === null && filter.scopes === null) return null;
  const rows = await tx<{ id: number }[]>`select id from brain.spaces where ${within(tx, filter)}`;
  return rows.map(({ id }) => id);
}

/** Which of these memories a search may find, with their labels. */
async function fittingOf(
  tx: Tx,
  ids: readonly string[],
  filter: Filter,
  { phrases, excluded }: ParsedQuery,
  space_ids: readonly number[] | null,
): Promise<Map<string, string | null>> {
  if (ids.length === 0) return new Map();
  const rows = await tx<{ id: string; label: string | null }[]>`
    select id, ${labelOf(tx)} as label from brain.memories
    where id = any (${ids as string[]}::uuid[]) and ${ofSpaces(tx, space_ids)}
      and ${fitting(tx, filter, phrases, excluded)}`;
  return new Map(rows.map(({ id, label }) => [id, label]));
}
