import type { Tx } from "../db.ts";
import type { Filter } from "../memories/filter.ts";

/** What a query asks for: words rank, phrases and exclusions bind. */
export interface ParsedQuery {
  words: string;
  phrases: string[];
  excluded: string[];
}

/** Splits a query into "phrases", -excluded words and -"excluded phrases", and the words that rank. */
export function parseQuery(query: string): ParsedQuery {
  const parsed: ParsedQuery = { words: "", phrases: [], excluded: [] };
  const words: string[] = [];
  for (const [, minus, phrase, word = ""] of query.matchAll(/(-?)"([^"]*)"|(\S+)/g)) {
    if (phrase !== undefined && minus === "-") parsed.excluded.push(phrase);
    else if (phrase !== undefined) parsed.phrases.push(phrase);
    else if (/^-[^\s-]/.test(word)) parsed.excluded.push(word.slice(1));
    else words.push(word);
  }
  parsed.words = [...words, ...parsed.phrases].join(" ");
  return parsed;
}

/** The ids and scores of what the caller sees that matches, best first, as a query to join the rows to; all of them where the limit is null. */
export function lexicalHits(
  tx: Tx,
  query: string,
  { states, categories, access_entities, include_superseded }: Filter,
  limit: number | null,
) {
  const { words, phrases, excluded } = parseQuery(query);
  return tx`
    select id, score
    from app.search_lexical(${words}, ${phrases}, ${excluded}, ${states}, ${categories}, ${access_entities},
                            ${include_superseded ?? false}, ${limit})`;
}
