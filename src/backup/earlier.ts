import { isSpaceName } from "../auth/grants.ts";
import { CATEGORIES, fields } from "../memories/schema.ts";
import { Problem } from "../problem.ts";
import { parse } from "../schema.ts";
import { importedFrom } from "./ids.ts";

type Fields = Record<string, unknown>;

/** Keys of an older scheme that say nothing here, and the tenant of the system the archive is from. */
const DROPPED = new Set(["re", "src", "ev", "from", "was", "org_id", "scope"]);

/**
 * A memory of the earlier system, or of mem0 OpenMemory, as one of ours: of its metadata what has a field here goes
 * there, where it fits it; all the rest stays metadata, with `earlier` for what the memory itself said of its past.
 */
export function earlierMemory(memory: object, named: ReadonlyMap<string, string> = new Map()): Fields {
  const { id, content, metadata, state, created_at, updated_at, app, category_ids } = memory as Fields;
  const { categories = Array.isArray(category_ids) ? category_ids.flatMap((one) => named.get(one) ?? []) : [] } =
    memory as Fields;
  if (typeof id !== "string" || id === "" || id.length > 256) throw new Problem("INVALID_INPUT", "has no id");
  const rest: Fields = isObject(metadata) ? { ...metadata } : {};
  const taken: Fields = {};
  const take = (name: string, value: unknown, schema: Parameters<typeof parse>[0]) => {
    if (value === undefined || value === null || !fits(schema, value)) return;
    taken[name] = value;
    delete rest[name];
  };
  const { category, access_entity, entity, entities, evidence, tags, source } = rest;
  const word = typeof category === "string" ? category.trim().toLowerCase() : undefined;
  if (CATEGORIES.some((known) => known === word)) {
    taken.category = word;
    delete rest.category;
  }
  if (typeof access_entity === "string" && isSpaceName(access_entity)) {
    taken.access_entity = access_entity;
    delete rest.access_entity;
  }
  for (const name of ["artifact_type", "artifact_ref", "thread", "code_refs"] as const)
    take(name, rest[name], fields[name]);
  take("entities", entities, fields.entities);
  if (!taken.entities && typeof entity === "string" && fits(fields.entities, [entity])) {
    taken.entities = [entity];
    delete rest.entity;
  } else if (Array.isArray(taken.entities) && taken.entities[0] === entity) delete rest.entity;
  take(
    "evidence",
    typeof evidence === "string"
      ? evidence
          .split(",")
          .map((one) => one.trim())
          .filter(Boolean)
      : evidence,
    fields.evidence,
  );
  take("tags", tags, fields.tags);
  take("source", source, fields.source);
  for (const name of DROPPED) delete rest[name];
  const past = Object.entries({ created_at, updated_at, app, categories }).filter(([, told]) => isTold(told));
  if (past.length > 0) rest.earlier = Object.fromEntries(past);
  return {
    id: importedFrom(id),
    content,
    state: state ?? "active",
    source: "import",
    ...taken,
    metadata: rest,
  };
}

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isTold = (value: unknown) =>
  (typeof value === "string" && value !== "") || (Array.isArray(value) && value.length > 0);

function fits(schema: Parameters<typeof parse>[0], value: unknown): boolean {
  try {
    parse(schema, value);
    return true;
  } catch (error) {
    if (error instanceof Problem) return false;
    throw error;
  }
}
