import postgres from "postgres";

/** The words of a text by PostgreSQL's English stemming, and how often each is there. */
type Words = [word: string, times: number][];

/** Stems texts with to_tsvector('english'), in their order. */
export async function stem(database_url: string, texts: readonly string[]): Promise<Words[]> {
  const sql = postgres(database_url, { max: 1 });
  try {
    const rows = await sql<{ words: Words }[]>`
      select (select coalesce(json_agg(json_build_array(lexeme, cardinality(positions))), '[]')
              from unnest(to_tsvector('english', text))) as words
      from unnest(${texts as string[]}::text[]) with ordinality as given (text, place)
      order by place`;
    return rows.map(({ words }) => words);
  } finally {
    await sql.end();
  }
}

/** Places of the texts that have words of the query, best first by plain BM25 (Robertson and Zaragoza 2009). */
export function rankPlainly(texts: readonly Words[], k1: number, b: number): (query: Words) => number[] {
  const postings = new Map<string, Map<number, number>>();
  const lengths = texts.map((words) => words.reduce((sum, [, times]) => sum + times, 0));
  const average = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
  for (const [place, words] of texts.entries())
    for (const [word, times] of words) {
      const found = postings.get(word) ?? new Map<number, number>();
      postings.set(word, found.set(place, times));
    }
  return (query) => {
    const scores = new Map<number, number>();
    for (const [word] of query) {
      const found = postings.get(word) ?? new Map<number, number>();
      const rarity = Math.log(1 + (texts.length - found.size + 0.5) / (found.size + 0.5));
      for (const [place, times] of found) {
        const norm = 1 - b + (b * (lengths[place] ?? 0)) / average;
        scores.set(place, (scores.get(place) ?? 0) + (rarity * times * (k1 + 1)) / (times + k1 * norm));
      }
    }
    return [...scores].sort(([p, s], [q, t]) => t - s || q - p).map(([place]) => place);
  };
}
