import type { TSchema } from "elysia";
import fc, { type Arbitrary } from "fast-check";
import { anything, fieldName, fitting, type Hints, NAME_MARK, telling, VALUE_MARK, word } from "./arbitrary.ts";

declare global {
  // Bun has them; TypeScript 7.0 does not know them yet.
  interface JSON {
    rawJSON(text: string): object;
    isRawJSON(value: unknown): boolean;
  }
}

/** Values of which one or several places are wrong: another type, too long, too many, missing, unknown, unkeepable. */
export function spoilt(schema: TSchema, hints: Hints = {}): Arbitrary<unknown> {
  const too_much = fc.constantFrom(...limitsOf(schema).map((limit) => limit + 1), 9);
  const name = fc.oneof({ weight: 3, arbitrary: fieldName }, fc.constantFrom(...NAMES));
  const change: Arbitrary<Change> = fc.oneof(
    { weight: 5, arbitrary: wrong.map((value) => () => value) },
    { weight: 1, arbitrary: fc.constant(() => REMOVED) },
    { weight: 2, arbitrary: fc.tuple(name, wrong).map((added) => (place: unknown) => extended(place, added)) },
    { weight: 2, arbitrary: too_much.map((to) => (place: unknown) => grown(place, to)) },
  );
  const somewhere = fc.tuple(fc.nat({ max: 1_000 }), change);
  const changes = fc.oneof(fc.tuple(somewhere), fc.array(somewhere, { minLength: 2, maxLength: 3 }));
  return fc
    .tuple(fitting(schema, hints), changes)
    .map(([value, made]) => made.reduce((so_far, [place, how]) => changed(so_far, place, how), value));
}

/** What becomes of one place of a value. */
type Change = (place: unknown) => unknown;
const REMOVED = Symbol("removed");

/** Names that mean something to JavaScript. */
const NAMES = "__proto__ constructor prototype toString valueOf toJSON length hasOwnProperty then".split(" ");

/** Text JSON.stringify puts down as it is: numbers it would not write. */
const NUMBERS = "1e400 -1e400 -0 9007199254740993 1e308 5e-324 1e-500 123456789012345678901234567890".split(" ");
const TEXTS = ["NaN", "Infinity", "1e400", "-0", "null", "undefined", "[object Object]", "%00", "'; --", "\\u0000"];

/** What is hardly anywhere right. */
const wrong: Arbitrary<unknown> = fc.oneof(
  word,
  telling,
  anything,
  fc.constantFrom(null, true, false, "", " ", [], {}, 0, -1, 1.5, 2 ** 31, 2 ** 53),
  fc.constantFrom(...NUMBERS).map((text) => JSON.rawJSON(text)),
  fc.constantFrom(...TEXTS),
  word.chain((mark) =>
    fc.constantFrom<unknown>(
      [mark],
      `${mark}\0`,
      `\0${mark}`,
      `${mark}\ud800`,
      `\udfff${mark}`,
      `${mark}\n"\\\u2028`,
      `project:${mark}`,
      `user:${mark}`,
      `org:${mark}/`,
      mark.repeat(20_000),
      nested(mark, 70, (inner) => [inner]),
      nested(mark, 70, (inner) => ({ a: inner })),
      nested(mark, 5000, (inner) => [inner]),
      { [`${NAME_MARK}\0`]: mark },
      { [`${NAME_MARK}\ud800`]: mark },
    ),
  ),
  fc.tuple(fc.constantFrom(...NAMES), anything).map((field) => Object.fromEntries([field])),
  word.map((mark) => ({ toString: mark, valueOf: 1 })), // no text can be made of it
);

function nested(mark: string, depth: number, within: (inner: unknown) => unknown) {
  let value: unknown = mark;
  for (let level = 0; level < depth; level++) value = within(value);
  return value;
}

/** Every length and count the schema knows. */
function limitsOf(schema: unknown): number[] {
  const limits = new Set<number>();
  JSON.stringify(schema, (key, value: unknown) => {
    if (/^max(Length|Items|Properties)$/.test(key) && typeof value === "number") limits.add(value);
    return value;
  });
  return [...limits];
}

/** The value with one of its places changed; counted in reading order, modulo how many there are. */
function changed(value: unknown, place: number, how: Change): unknown {
  let left = place % count(value);
  const visit = (node: unknown): unknown => {
    if (left-- === 0) return how(node);
    if (Array.isArray(node)) return node.map(visit).filter((inner) => inner !== REMOVED);
    if (!isObject(node)) return node;
    const fields = Object.entries(node).map(([name, inner]) => [name, visit(inner)]);
    return Object.fromEntries(fields.filter(([, inner]) => inner !== REMOVED)); // `__proto__` stays a field of its own
  };
  const result = visit(value);
  return result === REMOVED ? null : result;
}

const count = (value: unknown): number =>
  Array.isArray(value) || isObject(value)
    ? Object.values(value).reduce<number>((sum, inner) => sum + count(inner), 1)
    : 1;

/** What JSON.rawJSON gives is a leaf. */
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value);

function extended(node: unknown, [name, value]: [string, unknown]): unknown {
  if (Array.isArray(node)) return [...node, value];
  return isObject(node) ? Object.fromEntries([...Object.entries(node), [name, value]]) : value;
}

/** More, or many large ones, would only test the limit on the body, and our own memory. */
const MOST = 1001;
const LARGE = 1000;

function grown(node: unknown, to: number): unknown {
  if (typeof node === "string") return (node || VALUE_MARK).repeat(Math.ceil(to / (node.length || 3))).slice(0, to);
  const places = Array.from({ length: Math.min(to, MOST) }, (_, index) => index);
  if (Array.isArray(node)) {
    const kept = node.filter((inner) => JSON.stringify(inner).length < LARGE);
    return places.map((index) => kept[index % kept.length] ?? VALUE_MARK);
  }
  if (!isObject(node)) return node;
  return { ...node, ...Object.fromEntries(places.map((index) => [NAME_MARK + index, index])) };
}
