import { invalidInput } from "../problem.ts";

/** Some of a closed set of words, separated by commas; null where none are given. Throws INVALID_INPUT naming the field. */
export function wordsFrom<W extends string>(given: string | undefined, known: readonly W[], at: string): W[] | null {
  if (given === undefined) return null;
  const words = given.split(",").map((word) => word.trim());
  const found = known.filter((word) => words.includes(word));
  if (found.length < new Set(words).size)
    throw invalidInput([{ at, message: `must be a list, separated by commas, of ${known.join(", ")}` }]);
  return found;
}
