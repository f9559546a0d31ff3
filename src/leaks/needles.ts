/** Somebody who may see a needle: one user of an org, whoever of an org may open a space, or all of an org. */
export interface Viewer {
  readonly org: string;
  readonly sub?: string;
  readonly space?: string;
}

/** Something that must not reach anybody but its viewers; none: nobody. */
export interface Needle {
  /** Where it lies: `brain.memories.thread`. */
  readonly what: string;
  readonly viewers: readonly Viewer[];
}

/** A needle that was found, with the word or id it is known by. */
export interface Found extends Needle {
  readonly key: string;
}

export type Haystack = ReturnType<typeof openHaystack>;

/** Begins every canary, so that one pass over a text finds them all. With a digit within: no stemmer cuts it. */
const MARK = "kx7q";
const CANARY = /kx7q[a-z2-7]{12}/g;
const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

/** Matches every canary, for PostgreSQL. */
export const CANARY_PATTERN = CANARY.source;

/** Letters and digits that nobody guesses; without the mark of a canary. */
export const randomWord = (length = 12) =>
  [...crypto.getRandomValues(new Uint8Array(length))].map((byte) => ALPHABET[byte % 32]).join("");

/** Keeps canaries and ids, and finds them in what is answered. */
export function openHaystack(known: ReadonlyMap<string, Needle> = new Map()) {
  const needles = new Map(known);
  return {
    /** The same, to which others may be added. */
    copy: () => openHaystack(needles),
    /** A new word to plant, to be seen by its viewers alone. */
    canary(what: string, ...viewers: Viewer[]): string {
      const word = MARK + randomWord();
      needles.set(word, { what, viewers });
      return word;
    },
    /** An id of a row that is there: 32 hexadecimal digits, hyphens or not. One in several rows is for the viewers of each. */
    id(id: string, what: string, ...viewers: Viewer[]) {
      const key = plain(id);
      const known = needles.get(key);
      needles.set(key, known ? { ...known, viewers: [...known.viewers, ...viewers] } : { what, viewers });
    },
    /** Whether an id is looked for already. */
    knows: (id: string) => needles.has(plain(id)),
    /** Whether it is one of the canaries, and no id. */
    isCanary: (key: string) => key.startsWith(MARK) && needles.has(key),
    /** Every needle in a text, however it was encoded on its way. */
    foundIn: (text: string): Found[] =>
      [...keysIn(text)].flatMap((key) => {
        const needle = needles.get(key);
        return needle ? [{ ...needle, key }] : [];
      }),
  };
}

const plain = (id: string) => id.toLowerCase().replaceAll("-", "");

/** What could be a canary or an id in a text: as it is, in other case, escaped, in hex, in base64 at any alignment. */
export function keysIn(text: string): Set<string> {
  const keys = new Set<string>();
  collect(text, keys);
  if (/\\u|\\x|%[0-9a-f]|&#/i.test(text)) collect(unescaped(text), keys);
  for (const [run] of text.matchAll(/[0-9a-f]{32,}/gi)) for (const offset of [0, 1]) fromHex(run.slice(offset), keys);
  // Hexadecimal digits alone are an id as it is; base64 of a canary, or of an id's bytes, has other letters too.
  for (const [run] of text.matchAll(BASE64))
    if (!/^[0-9a-f-]+$/i.test(run))
      for (let offset = 0; offset < 4 && run.length - offset >= SHORTEST_BASE64; offset++)
        fromBase64(run.slice(offset), keys);
  return keys;
}

/** Of the 16 bytes of an id or a canary. */
const SHORTEST_BASE64 = 22;
const BASE64 = /[\w+/-]{22,}/g;

function collect(text: string, keys: Set<string>) {
  const folded = text.toLowerCase();
  for (const [word] of folded.matchAll(CANARY)) keys.add(word);
  for (const [run] of folded.matchAll(/[0-9a-f-]{32,}/g)) {
    const digits = run.replaceAll("-", "");
    for (let start = 0; start + 32 <= digits.length; start++) keys.add(digits.slice(start, start + 32));
  }
}

const unescaped = (text: string) =>
  text
    .replace(/\\+(?:u00|x)([0-9a-f]{2})/gi, character)
    .replace(/%([0-9a-f]{2})/gi, character)
    .replace(/&#x([0-9a-f]{2});/gi, character)
    .replace(/&#(\d{2,3});/g, (_, code: string) => String.fromCharCode(Number(code)));

const character = (_: string, digits: string) => String.fromCharCode(Number.parseInt(digits, 16));

const fromHex = (run: string, keys: Set<string>) => collect(Buffer.from(run, "hex").toString("latin1"), keys);

function fromBase64(run: string, keys: Set<string>) {
  const bytes = Buffer.from(run, "base64"); // takes base64url too
  collect(bytes.toString("latin1"), keys);
  const digits = bytes.toString("hex"); // a uuid in its 16 bytes
  for (let start = 0; start + 32 <= digits.length; start += 2) keys.add(digits.slice(start, start + 32));
}
