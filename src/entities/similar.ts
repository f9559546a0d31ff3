/** Why two names may be one thing. */
export const REASONS = ["same_letters", "plural", "domain_word", "affix", "trigrams"] as const;
export type Reason = (typeof REASONS)[number];

/** A name among those that are compared. */
export interface Compared {
  readonly key: string;
  readonly name: string;
  /** Active memories that mention it. */
  readonly memory_count: number;
}

/** How sure it is that a name is another spelling of a more usual one, and why. */
export interface Likeness {
  readonly why: Reason;
  /** In 0..1. */
  readonly confidence: number;
}

/** A name and what seems to be other spellings of it, the surest first. */
export interface Likely<N extends Compared> {
  readonly canonical: N;
  readonly variants: readonly (N & Likeness)[];
}

/** How sure each reason makes; those of degree add their degree to it. */
const SURE = { same_letters: 0.98, plural: 0.9, domain_word: 0.85, affix: 0.6 } as const;
/** What an affix that is the whole of the longer name would add. */
const AFFIX_SPAN = 0.3;
const SHORTEST_AFFIX = 4;
const SHORTEST_FOR_TRIGRAMS = 5;
/** Below, trigrams say nothing. */
const LEAST_ALIKE = 0.6;

/** Words that say what kind of thing a name stands for and are often left out. */
const DOMAIN_WORDS = new Set(
  "api app application backend client com community database db dev frontend inc io js lang lib library net org project sdk server service team the ts".split(
    " ",
  ),
);

/**
 * Groups names that seem to be one thing. The most mentioned name of a group is its canonical one, and every variant is
 * like that one itself: likeness is not handed on from one to the next. Only names that share enough runs of three
 * letters are compared.
 */
export function likelyGroups<N extends Compared>(names: readonly N[], threshold: number): Likely<N>[] {
  const profiles = [...names].sort(byUse).map(profileOf);
  const sharing = sharingAmong(profiles);
  const taken = new Set<number>();
  const groups: Likely<N>[] = [];
  for (const [place, profile] of profiles.entries()) {
    if (taken.has(place)) continue;
    const variants: (N & Likeness)[] = [];
    for (const [other, shared] of sharing(place)) {
      const variant = profiles[other];
      if (!variant || taken.has(other) || !mayBeAlike(profile, variant, shared)) continue;
      const likeness = likenessOf(profile, variant, shared);
      if (!likeness || likeness.confidence < threshold) continue;
      taken.add(other);
      variants.push({ ...variant.name, ...likeness });
    }
    if (variants.length > 0)
      groups.push({
        canonical: profile.name,
        variants: variants.sort((a, b) => b.confidence - a.confidence || byUse(a, b)),
      });
  }
  return groups;
}

/** How alike two names are; null where nothing speaks for it. */
export function likeness(one: string, other: string): Likeness | null {
  const [a, b] = [profileOf(named(one)), profileOf(named(other))];
  return likenessOf(a, b, sharedOf(a.trigrams, b.trigrams));
}

const named = (name: string): Compared => ({ key: name, name, memory_count: 0 });

const byUse = (a: Compared, b: Compared) =>
  b.memory_count - a.memory_count || a.name.length - b.name.length || (a.key < b.key ? -1 : 1);

/** What of a name is compared. */
interface Profile<N extends Compared> {
  readonly name: N;
  /** Letters and digits alone, without accents. */
  readonly letters: string;
  readonly words: readonly string[];
  /** Without domain words. */
  readonly core: string;
  /** Its numbers, in their order: names that differ in these are two things. */
  readonly numbers: string;
  /** A path of a file, or the like: another path is another file, however alike. */
  readonly is_path: boolean;
  readonly trigrams: ReadonlySet<string>;
}

function profileOf<N extends Compared>(name: N): Profile<N> {
  const words = wordsOf(name.name);
  const letters = words.join("");
  const core = words.filter((word) => !DOMAIN_WORDS.has(word)).join("");
  return {
    name,
    letters,
    words,
    core: core === "" ? letters : core,
    numbers: (letters.match(/\d+/g) ?? []).join(" "),
    is_path: /[/\\@]/.test(name.name),
    trigrams: trigramsOf(letters),
  };
}

/** Words in lower case and without accents; a hump in camelCase begins one. + and # belong to it: C, C++ and C# are three. */
const wordsOf = (name: string): string[] =>
  name
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .replace(/(\p{Ll}|\d)(\p{Lu})/gu, "$1 $2")
    .toLowerCase()
    .split(/[^\p{L}\p{N}+#]+/u)
    .filter((word) => word !== "");

/** Runs of three letters, with the beginning and the end of the name told apart from its middle. */
function trigramsOf(letters: string): Set<string> {
  const padded = [..."  ", ...letters, " "];
  return new Set(padded.slice(2).map((_, place) => padded.slice(place, place + 3).join("")));
}

/** Gives for a place the names after it that share trigrams, or all their letters, with it, and how many trigrams. */
function sharingAmong(profiles: readonly Profile<Compared>[]) {
  const by_trigram = new Map<string, number[]>();
  const by_letters = new Map<string, number[]>();
  for (const [place, { letters, trigrams, is_path }] of profiles.entries()) {
    add(by_letters, letters, place);
    // Paths are like another by all their letters alone.
    if (!is_path) for (const trigram of trigrams) add(by_trigram, trigram, place);
  }
  const counts = new Uint16Array(profiles.length);
  return (place: number): [other: number, shared: number][] => {
    const profile = profiles[place];
    if (!profile) return [];
    const met = new Set<number>();
    for (const other of by_letters.get(profile.letters) ?? []) if (other > place) met.add(other);
    if (!profile.is_path)
      for (const trigram of profile.trigrams)
        for (const other of by_trigram.get(trigram) ?? []) {
          if (other <= place) continue;
          const count = counts[other] ?? 0;
          if (count === 0) met.add(other);
          counts[other] = count + 1;
        }
    return [...met].map((other) => {
      const shared = counts[other] ?? 0;
      counts[other] = 0;
      return [other, shared];
    });
  };
}

function add(places: Map<string, number[]>, mark: string, place: number) {
  const known = places.get(mark);
  if (known) known.push(place);
  else places.set(mark, [place]);
}

/** A quick look at the figures before the names are compared: most pairs share three letters and nothing else. */
function mayBeAlike(one: Profile<Compared>, other: Profile<Compared>, shared: number): boolean {
  const fewest = Math.min(one.trigrams.size, other.trigrams.size);
  return (
    shared >= fewest - 2 || // one within the other, but for what marks its beginning and end
    2 * shared >= LEAST_ALIKE * (one.trigrams.size + other.trigrams.size) ||
    one.core === other.core ||
    one.letters === other.letters
  );
}

function likenessOf(one: Profile<Compared>, other: Profile<Compared>, shared: number): Likeness | null {
  if (one.letters === "" || other.letters === "") return null;
  if (one.letters === other.letters && one.is_path === other.is_path)
    return { why: "same_letters", confidence: SURE.same_letters };
  if (one.is_path || other.is_path || one.numbers !== other.numbers) return null;
  if (singular(one.letters) === singular(other.letters)) return { why: "plural", confidence: SURE.plural };
  if (one.core === other.core) return { why: "domain_word", confidence: SURE.domain_word };
  const degrees: Likeness[] = [affixOf(one, other), trigramLikeness(one, other, shared)].filter(
    (found) => found !== null,
  );
  return degrees.sort((a, b) => b.confidence - a.confidence)[0] ?? null;
}

const singular = (letters: string) =>
  letters.length > SHORTEST_AFFIX ? letters.replace(/ies$/, "y").replace(/(?<=[^s])s$/, "") : letters;

/** One is the other with whole words before or after it. */
function affixOf(one: Profile<Compared>, other: Profile<Compared>): Likeness | null {
  const [short, long] = one.words.length <= other.words.length ? [one, other] : [other, one];
  if (short.letters.length < SHORTEST_AFFIX || short.words.length === long.words.length) return null;
  const is_affix = [long.words.slice(0, short.words.length), long.words.slice(-short.words.length)].some(
    (words) => words.join(" ") === short.words.join(" "),
  );
  if (!is_affix) return null;
  return { why: "affix", confidence: rounded(SURE.affix + AFFIX_SPAN * (short.letters.length / long.letters.length)) };
}

/**
 * How much of their trigrams two names share (twice the shared ones among all of both). Where they have as many words,
 * each is held against its counterpart and the least alike one counts: one letter makes another plan of plan A.
 */
function trigramLikeness(one: Profile<Compared>, other: Profile<Compared>, shared: number): Likeness | null {
  if (Math.min(one.letters.length, other.letters.length) < SHORTEST_FOR_TRIGRAMS) return null;
  const whole = dice(one.trigrams, other.trigrams, shared);
  if (whole < LEAST_ALIKE) return null;
  const by_word =
    one.words.length === other.words.length
      ? one.words.map((word, place) => wordsAlike(word, other.words[place] ?? ""))
      : [];
  const confidence = rounded(Math.min(whole, ...by_word));
  return confidence < LEAST_ALIKE ? null : { why: "trigrams", confidence };
}

function wordsAlike(one: string, other: string): number {
  if (one === other) return 1;
  const [a, b] = [trigramsOf(one), trigramsOf(other)];
  return dice(a, b, sharedOf(a, b));
}

const dice = (a: ReadonlySet<string>, b: ReadonlySet<string>, shared: number) => (2 * shared) / (a.size + b.size);
const sharedOf = (a: ReadonlySet<string>, b: ReadonlySet<string>) => [...a].filter((trigram) => b.has(trigram)).length;

const rounded = (share: number) => Math.round(share * 1000) / 1000;
