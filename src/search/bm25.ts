/** How often a term is in a memory, and how many words the memory has. */
export interface Occurrence {
  frequency: number;
  length: number;
}

/** What the caller sees, added up: how many memories, and how many words they have on average. */
export interface Collection {
  memories: number;
  average_length: number;
}

/** How soon more of the same word counts for less. */
export const SATURATION = 1;

/**
 * So many words are added to every length before two are compared. Short texts so differ little by their length and long
 * ones much: over turns of 15 words it acts like BM25's b = 0.23, over pages of 300 like b = 0.86. On LoCoMo's turns b
 * near 0.3 found most, on its whole sessions 0.75; one b for both lost on one of them.
 */
export const LENGTH_PIVOT = 50;

/** How often a term would be in a text of average length. */
export const normalized = ({ frequency, length }: Occurrence, { average_length }: Collection) =>
  (frequency * (LENGTH_PIVOT + average_length)) / (LENGTH_PIVOT + length);

/** What of a term's weight a text with so many of it earns: 0 to 1. */
export const saturated = (normalized_frequency: number) => normalized_frequency / (normalized_frequency + SATURATION);

/** How much a term that is in so many of them tells: the inverse document frequency of BM25. */
export const rarity = (memories: number, collection: Collection) =>
  Math.log(1 + (Math.max(collection.memories - memories, 0) + 0.5) / (memories + 0.5));
