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
const inQuery = (pattern: string, told: { minimum: number; maximum: number; default: number; description: string }) =>
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

/** The schema, or null. */
export const nullable = <S extends TSchema>(schema: S) => t.Union([schema, t.Null()]);

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
