import { getSchemaValidator, type Static, type TSchema, t } from "elysia";
import { fieldErrors, invalidInput, type SchemaError } from "./problem.ts";

export const Id = t.String({ format: "uuid", description: "Id of a memory." });
export const Instant = t.String({ format: "date-time", description: "RFC 3339, UTC, microseconds." });
/** No field but these. */
export const closed = { additionalProperties: false } as const;

/**
 * A whole number in a query string. As text with a pattern: Elysia's own numbers take 0x10 and 1e2, and when they do
 * not fit they do not say which parameter it was (1.4.30). `told` is what the OpenAPI document prints.
 */
export const inQuery = (
  pattern: string,
  told: { minimum: number; maximum: number; default: number; description: string },
) =>
  t
    .Transform(t.String({ pattern, told: { type: "integer", ...told } }))
    .Decode(Number)
    .Encode(String);

export const Page = inQuery("^[1-9][0-9]{0,4}$", { minimum: 1, maximum: 99_999, default: 1, description: "From 1." });
export const Size = limitOf(100, 20, "Rows a page.");

/** How many rows a list gives at most, from 1: a query parameter. */
export function limitOf(maximum: number, usual: number, description = "How many at most.") {
  return inQuery(upTo(maximum), { minimum: 1, maximum, default: usual, description });
}

/** A pattern for the whole numbers from 1 to a maximum: the shorter ones, those that are smaller at some digit, itself. */
function upTo(maximum: number): string {
  const digits = String(maximum);
  const any = (count: number) => "[0-9]".repeat(count);
  const shorter = Array.from({ length: digits.length - 1 }, (_, more) => `[1-9]${any(more)}`);
  const smaller = [...digits].flatMap((digit, at) => {
    const [least, most] = [at === 0 ? 1 : 0, Number(digit) - 1];
    return most < least ? [] : [`${digits.slice(0, at)}[${least}-${most}]${any(digits.length - at - 1)}`];
  });
  return `^(${[...shorter, ...smaller, digits].join("|")})$`;
}

/** Totals are counted up to here, and pages reach no further; beyond, `total_is` says at_least. */
export const MAX_TOTAL = 10_000;

/** Rows by pages, with their number. */
export const PageOf = <S extends TSchema>(item: S) =>
  t.Object(
    {
      items: t.Array(item),
      total: t.Number({ description: "Exact to 10000." }),
      total_is: oneOf(["exact", "at_least"]),
      page: t.Number(),
      size: t.Number(),
      pages: t.Number(),
      next_cursor: t.Null(),
    },
    closed,
  );

/** A page of rows, of a list whose rows were counted to one beyond MAX_TOTAL. */
export const pageOf = <T>(items: T[], counted: number, { page, size }: { page: number; size: number }) => ({
  items,
  total: Math.min(counted, MAX_TOTAL),
  total_is: counted > MAX_TOTAL ? ("at_least" as const) : ("exact" as const),
  page,
  size,
  pages: Math.ceil(Math.min(counted, MAX_TOTAL) / size),
  next_cursor: null,
});

/** Where a page begins. Throws INVALID_INPUT for one beyond MAX_TOTAL. */
export function offsetOf({ page = 1, size = 20 }: { page?: number; size?: number }) {
  if (page * size > MAX_TOTAL) throw invalidInput([{ at: "page", message: `reaches beyond ${MAX_TOTAL} rows` }]);
  return { page, size, offset: (page - 1) * size };
}

/** The schema, or null. */
export const nullable = <S extends TSchema>(schema: S) => t.Union([schema, t.Null()]);

/**
 * Of a schema that allows null what else it allows, so that what does not fit can be told by its place; of any other
 * schema itself.
 */
export function presentOf(schema: TSchema): TSchema {
  const [only, nothing] = (schema.anyOf ?? []) as TSchema[];
  return only && nothing?.type === "null" ? only : schema;
}

/** A closed set of words. Prints as `enum`, without the default t.UnionEnum would apply to absent fields. */
export function oneOf<const W extends readonly [string, ...string[]]>(
  words: W,
  options: { description?: string } = {},
) {
  const { default: _, ...schema } = t.UnionEnum([...words], options);
  return schema as unknown as TSchema & { static: W[number] };
}

const validators = new WeakMap<TSchema, ReturnType<typeof getSchemaValidator>>();

/** The value as the schema's type. Nothing is coerced or filled in. Throws INVALID_INPUT with the places. */
export function parse<S extends TSchema>(schema: S, value: unknown): Static<S> {
  let validator = validators.get(schema);
  if (!validator) {
    validator = getSchemaValidator(schema, { normalize: false });
    validators.set(schema, validator);
  }
  if (!validator.Check(value)) throw invalidInput(fieldErrors(validator.Errors(value) as Iterable<SchemaError>));
  return value as Static<S>;
}
