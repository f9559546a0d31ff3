import type { TSchema } from "elysia";
import fc, { type Arbitrary } from "fast-check";

/**
 * Values that a schema takes. A keyword that is not understood here throws, so that a new kind of schema cannot go
 * unfuzzed.
 */

/** Values that mean something, by the field's name: ids that exist, granted spaces. Given beside what the schema says alone. */
export type Hints = Record<string, Arbitrary<unknown>>;

/** Begins every value that has room for it, and every name: whole or cut, an answer that has one repeats what was sent. */
export const VALUE_MARK = "fzq";
export const NAME_MARK = "fzn";

// Without z, or a name could have the mark of a value in it by chance.
const letters = fc.string({ unit: fc.constantFrom(..."abcdefghijklmnopqrstuvwxy"), minLength: 12, maxLength: 12 });
/** A word to look for in answers. */
export const word = letters.map((text) => VALUE_MARK + text);
export const fieldName = letters.map((text) => NAME_MARK + text);
/** A number to look for in answers. */
export const telling = fc.integer({ min: 100_000_000_000, max: Number.MAX_SAFE_INTEGER });

/** Any JSON. */
export const anything: Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    word,
    telling,
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fieldName, tie("value"), { maxKeys: 3, noNullPrototype: true }),
  ),
})).value;

const KEYWORDS = new Set(
  "type properties required additionalProperties patternProperties minProperties maxProperties items minItems maxItems \
minLength maxLength pattern format enum const minimum maximum multipleOf anyOf description told".split(" "),
);

const unknown = (what: string) => new Error(`tests/support/arbitrary.ts does not know ${what}: teach it`);

/** Values the schema takes. */
export function fitting(schema: TSchema, hints: Hints = {}): Arbitrary<unknown> {
  for (const keyword of Object.keys(schema))
    if (!KEYWORDS.has(keyword)) throw unknown(`the keyword ${keyword} of a schema`);
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map((one: TSchema) => fitting(one, hints)));
  if ("const" in schema) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  switch (schema.type) {
    case "null":
      return fc.constant(null);
    case "boolean":
      return fc.boolean();
    case "number":
    case "integer":
      return number(schema);
    case "string":
      return text(schema);
    case "array":
      return fc.array(fitting(schema.items, hints), {
        minLength: schema.minItems ?? 0,
        // Few objects, as each is many values; what is spoilt has too many of them.
        maxLength: Math.min(schema.maxItems ?? 10, schema.items.type === "object" ? 3 : 10),
      });
    case "object":
      return schema.patternProperties ? record(schema, hints) : object(schema, hints);
    default:
      throw unknown(`a schema of the type ${schema.type}`);
  }
}

function number({ type, minimum: min = -Infinity, maximum: max = Infinity, multipleOf }: TSchema): Arbitrary<number> {
  if (multipleOf !== undefined && multipleOf !== 1) throw unknown(`multipleOf ${multipleOf}`);
  const range = { ...(min !== -Infinity && { min }), ...(max !== Infinity && { max }) };
  if (type === "integer" || multipleOf === 1) return fc.integer(range);
  return fc
    .oneof(telling, fc.double({ ...range, noNaN: true, noDefaultInfinity: true }))
    .filter((value) => value >= min && value <= max);
}

/** What text can hold that is seldom thought of: direction marks, marks of order, what changes its length with its case. */
const ODD = fc.constantFrom(
  "\u202e",
  "\ufeff",
  "\u0085",
  "\u001f\u007f",
  "e\u0301\u0301\u0301",
  "İıßﷺ",
  "👩‍👩‍👧",
  "\u{10ffff}",
);

/** What a word may look like in a text that must have a form. */
const FORMS = [(mark: string) => mark, (mark: string) => `project:${mark}`];

function text(schema: Pick<TSchema, string>, marks = word): Arbitrary<string> {
  const { pattern, format, minLength = 0, maxLength = 200 } = schema;
  if (format === "uuid") return fc.uuid();
  if (format !== undefined) throw unknown(`the format ${format}`);
  const fits = (made: string) => made.length >= minLength && made.length <= maxLength;
  if (pattern === undefined)
    return fc
      .oneof(
        { weight: 14, arbitrary: fc.tuple(marks, fc.string({ maxLength: 30 })).map((two) => two.join("")) },
        { weight: 2, arbitrary: fc.tuple(marks, fc.array(ODD)).map((some) => some.flat().join("")) },
        { weight: 3, arbitrary: fc.string({ unit: "grapheme", minLength, maxLength }) },
        { weight: 1, arbitrary: marks.map((mark) => mark.repeat(maxLength / mark.length + 1)) },
      )
      .map((made) => made.slice(0, maxLength).toWellFormed())
      .filter(fits);
  const form = new RegExp(pattern);
  const has_form = (made: string) => fits(made) && form.test(made);
  const any = fc.stringMatching(form).filter(has_form);
  const marked = FORMS.find((make) => has_form(make(VALUE_MARK.padEnd(15, "a"))));
  return marked ? fc.oneof(any, marks.map(marked)) : any;
}

function object(schema: TSchema, hints: Hints): Arbitrary<object> {
  const fields = Object.entries<TSchema>(schema.properties).map(([name, property]) => {
    const known = hints[name];
    const alone = fitting(property, hints);
    return [name, known ? fc.oneof({ weight: 3, arbitrary: known }, alone) : alone] as const;
  });
  const required: string[] = schema.required ?? [];
  const optional = Object.keys(schema.properties).filter((name) => !required.includes(name));
  // Half of them have a few of the optional fields only: fields that exclude each other would refuse nearly all.
  const few = fc.subarray(optional, { maxLength: Math.min(3, optional.length) });
  const known = fc
    .tuple(
      fc.record(Object.fromEntries(fields), { requiredKeys: required, noNullPrototype: true }),
      fc.oneof(few, fc.constant(optional)),
    )
    .map(([value, names]) =>
      Object.fromEntries(Object.entries(value).filter(([name]) => [...required, ...names].includes(name))),
    )
    .filter((value) => Object.keys(value).length >= (schema.minProperties ?? 0));
  if (schema.additionalProperties !== true) return known;
  const more = fc.dictionary(fieldName, anything, { maxKeys: 5, noNullPrototype: true });
  return fc.tuple(more, known).map(([added, value]) => ({ ...added, ...value }));
}

function record({ patternProperties, maxProperties = 10, ...rest }: TSchema, hints: Hints): Arbitrary<object> {
  if (rest.properties || rest.minProperties) throw unknown("a record that has named fields too");
  const [first, ...others] = Object.entries(patternProperties as Record<string, TSchema>);
  if (!first || others.length > 0) throw unknown("a record with no or several patterns");
  const [pattern, value] = first;
  const maxKeys = Math.min(maxProperties, 10);
  const name = text({ pattern }, fieldName).filter((made) => made !== "__proto__"); // refused before the schema is asked
  return fc.dictionary(name, fitting(value, hints), { maxKeys, noNullPrototype: true });
}
