import { type TSchema, t } from "elysia";

/** Beyond these a limit tells a model nothing it would run into. */
const MOST_TOLD = { maximum: 1000, maxItems: 31 } as const;

/**
 * A schema as tools/list prints it: what a model needs to fill it in, in portable JSON Schema. Types, closed fields, enums
 * and small limits are told; what else is refused, the refusal says.
 */
export function printed(schema: TSchema): object {
  const first = firstForm(schema);
  if (first) {
    const { maxItems: _, ...form } = first;
    return { ...printed(form as TSchema), ...(schema.description && { description: schema.description }) };
  }
  const { pattern: _, minLength: _least, maxLength: _most, minItems: _fewest, ...rest } = schema;
  const { type, multipleOf, patternProperties, anyOf, items, properties, ...limits } = rest;
  if (limits.additionalProperties === true) delete limits.additionalProperties; // as it is without
  const told: Record<string, unknown> = { ...(type && { type: multipleOf === 1 ? "integer" : type }), ...limits };
  if (anyOf) told.anyOf = anyOf.map(printed);
  if (items) told.items = printed(items);
  if (properties && Object.keys(properties).length > 0) told.properties = each(properties, printed);
  // Which keys a map may have is left to the refusal: few clients read patternProperties.
  const [values] = Object.values<TSchema>(patternProperties ?? {});
  if (values) told.additionalProperties = printed(values);
  for (const [limit, most] of Object.entries(MOST_TOLD)) if (Number(told[limit]) > most) delete told[limit];
  if (told.minimum === 1) delete told.minimum;
  return told;
}

/** Fields by name and kind: for what is told in full elsewhere. */
export const byName = <F extends Record<string, TSchema>>(fields: F): F =>
  each(fields, (schema) => t.Optional(t.Unsafe(kindOf(schema)))) as F;

function kindOf(schema: TSchema): object {
  const { type, multipleOf, anyOf, items } = schema;
  if (anyOf) return kindOf(anyOf.find(({ items }: TSchema) => !items) ?? anyOf[0]);
  if (items) return { type, items: kindOf(items) };
  return { type: multipleOf === 1 ? "integer" : type };
}

/** Of a schema that takes one value or a list of them: the form that was named first. */
function firstForm({ anyOf }: TSchema): TSchema | undefined {
  const [first, second, ...more] = (anyOf ?? []) as TSchema[];
  if (!first || !second || more.length > 0) return undefined;
  return Bun.deepEquals(first, second.items) || Bun.deepEquals(first.items, second) ? first : undefined;
}

const each = <T>(fields: Record<string, TSchema>, make: (schema: TSchema) => T): Record<string, T> =>
  Object.fromEntries(Object.entries(fields).map(([name, schema]) => [name, make(schema)]));
