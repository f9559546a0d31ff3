import { seededRandom } from "../support/random.ts";

/** A memory that names one identifier, the identifier, and the same with one typo. */
export interface Named {
  readonly content: string;
  readonly identifier: string;
  readonly misspelt: string;
}

const NOUNS =
  "invoice payment order customer session token cache queue worker index search memory tenant policy schema route header cursor batch ledger report export import upload image avatar profile account address vendor shipment".split(
    " ",
  );
const VERBS =
  "parse load store fetch send retry merge split render resolve validate encode decode sign verify rotate flush seal claim enqueue".split(
    " ",
  );
const ASPECTS = "async bulk cached default empty failed global hidden internal lazy nested partial remote shared".split(
  " ",
);
const ENDINGS = ["ts", "test.ts", "sql", "go", "py", "yaml"];

const title = (word: string) => word.charAt(0).toUpperCase() + word.slice(1);

/**
 * So many memories about different identifiers, made of few words, so that each has siblings that differ in one word:
 * symbols, dotted names, paths and error codes in turn.
 */
export function identifiers(count: number, seed = 8): Named[] {
  const next = seededRandom(seed);
  const one = (words: readonly string[]) => words[Math.floor(next() * words.length)] ?? "";
  const kinds = [
    () => one(VERBS) + title(one(ASPECTS)) + title(one(NOUNS)) + title(one(NOUNS)),
    () => `${one(VERBS)}_${one(ASPECTS)}_${one(NOUNS)}_${one(NOUNS)}`,
    () => `${one(NOUNS)}.${one(NOUNS)}.${one(VERBS)}_${one(ASPECTS)}`,
    () => `src/${one(NOUNS)}/${one(ASPECTS)}/${one(VERBS)}_${one(NOUNS)}.${one(ENDINGS)}`,
    () => `ERR_${one(NOUNS).toUpperCase()}_${one(VERBS).toUpperCase()}_${1000 + Math.floor(next() * 9000)}`,
  ];
  const sentences = [
    (name: string, noun: string) => `${name} is where a ${noun} is looked up; the ${one(ASPECTS)} case is elsewhere.`,
    (name: string, noun: string) => `We decided that ${name} never waits for the ${noun} of another ${one(NOUNS)}.`,
    (name: string, noun: string) => `When the ${noun} fails with a timeout, look at ${name} first.`,
    (name: string, noun: string) =>
      `The ${noun} tests call ${name} twice, to ${one(VERBS)} what the first left behind.`,
  ];
  const known = new Set<string>();
  while (known.size < count) known.add((kinds[known.size % kinds.length] ?? kinds[0])?.() ?? "");
  return [...known].map((identifier) => {
    let misspelt = identifier;
    while (misspelt === identifier || known.has(misspelt)) misspelt = withTypo(identifier, next);
    const sentence = sentences[Math.floor(next() * sentences.length)] ?? String;
    return { identifier, misspelt, content: sentence(identifier, one(NOUNS)) };
  });
}

/** One letter left out, doubled, changed, or changed places with the next. */
function withTypo(text: string, next: () => number): string {
  const at = Math.floor(next() * (text.length - 1));
  const letter = text.charAt(at);
  if (!/[a-z]/i.test(letter)) return text;
  const rest = text.slice(at + 1);
  const other = String.fromCharCode((letter === letter.toUpperCase() ? 65 : 97) + Math.floor(next() * 26));
  const changed = [rest, letter + letter + rest, other + rest, rest.charAt(0) + letter + rest.slice(1)];
  return text.slice(0, at) + (changed[Math.floor(next() * changed.length)] ?? rest);
}
