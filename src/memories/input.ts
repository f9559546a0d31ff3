import { isSpaceName } from "../auth/grants.ts";
import { type FieldError, invalidInput } from "../problem.ts";
import { MAX_CONTENT_BYTES, type MemoryChanges, type NewMemory } from "./schema.ts";

/** Of tags and of metadata, as JSON without blanks. The checks in the table are a little wider: jsonb prints blanks. */
const MAX_OBJECT_BYTES = 16_384;

/**
 * An input as the columns it sets: text trimmed, tags as one object, null as the field's empty value, absent left out.
 * `at` leads to the memory within the input (`memories.3.`). Throws INVALID_INPUT for what a schema cannot say.
 */
export function columnsFrom(input: NewMemory | MemoryChanges, at = "") {
  const errors = faultsIn(input);
  if (errors.length > 0) throw invalidInput(errors.map((error) => ({ ...error, at: at + error.at })));
  const { content, entity, entities, evidence, tags, code_refs, metadata, ...rest } = input;
  return withoutAbsent({
    ...rest,
    content: content?.trim(),
    entities: entity === undefined ? orEmpty(entities, []) : [entity],
    evidence: orEmpty(evidence, []),
    tags: Array.isArray(tags) ? Object.fromEntries(tags.map((key) => [key, true])) : orEmpty(tags, {}),
    code_refs: orEmpty(code_refs, []),
    metadata: orEmpty(metadata, {}),
  });
}

function faultsIn(input: NewMemory | MemoryChanges): FieldError[] {
  const { content, access_entity, entity, entities, tags, code_refs, metadata } = input;
  const errors: FieldError[] = [];
  const bytes = Buffer.byteLength(content?.trim() ?? "-");
  if (bytes === 0 || bytes > MAX_CONTENT_BYTES)
    errors.push({ at: "content", message: `must have 1 to ${MAX_CONTENT_BYTES} bytes of UTF-8 after trimming` });
  for (const [at, object] of Object.entries({ tags, metadata }))
    if (object && Buffer.byteLength(JSON.stringify(object)) > MAX_OBJECT_BYTES)
      errors.push({ at, message: `must have at most ${MAX_OBJECT_BYTES} bytes as JSON` });
  // As a key it is refused wherever it stands: what is stored must be taken when it is sent back.
  if (Array.isArray(tags) && tags.includes("__proto__"))
    errors.push({ at: "tags", message: "has a key that cannot be kept" });
  if (entity !== undefined && entities !== undefined) errors.push({ at: "entity", message: "goes without entities" });
  if (access_entity !== undefined && access_entity !== "auto" && !isSpaceName(access_entity))
    errors.push({ at: "access_entity", message: "must be auto, user:<sub>, or team:, project: or org: with a path" });
  for (const [index, { line_start, line_end }] of (code_refs ?? []).entries())
    if (line_end !== undefined && (line_start === undefined || line_end < line_start))
      errors.push({ at: `code_refs.${index}.line_end`, message: "must not be before line_start" });
  return errors;
}

const orEmpty = <T>(value: T | null | undefined, empty: T) => (value === null ? empty : value);

const withoutAbsent = <T extends object>(fields: T) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;
