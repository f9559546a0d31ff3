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
