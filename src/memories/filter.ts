import type postgres from "postgres";
import type { Tx } from "../db.ts";
import { keysNamed } from "../entities/names.ts";
import { type FieldError, invalidInput } from "../problem.ts";
import { type FilterRequest, PLURALS } from "./filter_request.ts";
import type { MemoryFilter } from "./filter_schema.ts";
import { CATEGORIES, type ListQuery, MAX_TAG_LENGTH, READABLE_STATES } from "./schema.ts";

/** What a memory must be, field by field; null allows anything. */
export interface Filter {
  states: string[];
  categories: string[] | null;
  access_entities: string[] | null;
  scopes: string[] | null;
  app_ids: string[] | null;
  apps: string[] | null;
  artifact_types: string[] | null;
  artifact_refs: string[] | null;
  /** In any spelling. */
  entities: string[] | null;
  sources: string[] | null;
  /** RFC 3339; both ends count. */
  from_date: string | null;
  to_date: string | null;
  /** Each must be there; with a value other than null, with that value as text. */
  tags: { key: string; value: string | null }[];
  evidence: string[] | null;
  /** Whether one of the tags, and one of the evidence, is enough; null is no. */
  any_of_them: true | null;
  /** Whether a search finds what an active memory replaces; null is no. Lists always show it. */
  include_superseded: true | null;
}

/** Nothing but what is active. */
export const ANY: Filter = {
  states: ["active"],
  categories: null,
  access_entities: null,
  scopes: null,
  app_ids: null,
  apps: null,
  artifact_types: null,
  artifact_refs: null,
  entities: null,
  sources: null,
  from_date: null,
  to_date: null,
  tags: [],
  evidence: null,
  any_of_them: null,
  include_superseded: null,
};

const MAX_TAGS = 16;
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-](0\d|1[0-5]):[0-5]\d)$/;
/** The end of the year 9999, in milliseconds. */
const LAST_MOMENT = 253_402_300_799_999;

/** The filter a list's query asks for, and its `tag` parameters, all of them. Throws INVALID_INPUT for what its schema cannot say. */
export function filterFrom(query: ListQuery, tags: string[] = []): Filter {
  const errors: FieldError[] = [];
  const words = (at: "categories" | "states", known: readonly string[]) => {
    const given = query[at]?.split(",");
    if (given?.some((word) => !known.includes(word)))
      errors.push({ at, message: `must be a list, separated by commas, of ${known.join(", ")}` });
    return given;
  };
  if (tags.length > MAX_TAGS || tags.some((tag) => tag === "" || tag.length > MAX_TAG_LENGTH))
    errors.push({ at: "tag", message: `must be key or key=value, up to ${MAX_TAGS} times` });
  if (query.state && (query.states || query.show_archived === "true"))
    errors.push({ at: "state", message: "goes without states and show_archived" });
  if (query.states && query.show_archived === "true")
    errors.push({ at: "states", message: "goes without show_archived" });
  if (query.category && query.categories) errors.push({ at: "category", message: "goes without categories" });
  if (query.app_id && query.app_ids) errors.push({ at: "app_id", message: "goes without app_ids" });

  const states =
    words("states", READABLE_STATES) ?? (query.show_archived === "true" ? ["active", "archived"] : ["active"]);
  const filter: Filter = {
    ...ANY,
    states: query.state ? [query.state] : states,
    categories: query.category ? [query.category] : (words("categories", CATEGORIES) ?? null),
    access_entities: listed(query.access_entity),
    scopes: listed(query.scope),
    app_ids: listed(query.app_id) ?? query.app_ids?.split(",") ?? null,
    artifact_types: listed(query.artifact_type),
    artifact_refs: listed(query.artifact_ref),
    entities: listed(query.entity),
    sources: listed(query.source),
    from_date: instantFrom(query.from_date, "from_date", errors),
    to_date: instantFrom(query.to_date, "to_date", errors),
    tags: tags.map(tagFrom),
    include_superseded: query.include_superseded === "true" || null,
  };
  if (errors.length > 0) throw invalidInput(errors);
  return filter;
}

/** What is not in every filter object: the apps by their ids. */
type Given = MemoryFilter & { app_id?: string | string[] };

/** The filter that a filter object asks for. Throws INVALID_INPUT for what its schema cannot say; `at` leads to the object. */
export function filterOf(given: Given, at = "filter."): Filter {
  const errors: FieldError[] = [];
  const tags = listed(given.tag) ?? [];
  if (tags.length > MAX_TAGS) errors.push({ at: `${at}tag`, message: `must be at most ${MAX_TAGS}` });
  const filter: Filter = {
    states: listed(given.state) ?? ANY.states,
    categories: listed(given.category),
    access_entities: listed(given.access_entity),
    scopes: listed(given.scope),
    app_ids: listed(given.app_id),
    apps: listed(given.app),
    artifact_types: listed(given.artifact_type),
    artifact_refs: listed(given.artifact_ref),
    entities: listed(given.entity),
    sources: listed(given.source),
    from_date: instantFrom(given.from_date, `${at}from_date`, errors),
    to_date: instantFrom(given.to_date, `${at}to_date`, errors),
    tags: tags.map(tagFrom),
    evidence: listed(given.evidence),
    any_of_them: given.match === "any" || null,
    include_superseded: given.include_superseded || null,
  };
  if (errors.length > 0) throw invalidInput(errors);
  return filter;
}

/** The filter that the body of POST /memories/filter asks for: a filter object with other names for its lists. Throws INVALID_INPUT. */
export function filterFromBody({ show_archived, from_date, to_date, ...given }: FilterRequest): Filter {
  const errors: FieldError[] = [];
  const renamed: Record<string, unknown> = { ...given };
  for (const [plural, singular] of Object.entries(PLURALS)) {
    if (renamed[plural] === undefined) continue;
    if (renamed[singular] !== undefined) errors.push({ at: singular, message: `goes without ${plural}` });
    renamed[singular] = renamed[plural];
  }
  if (show_archived && renamed.state !== undefined)
    errors.push({ at: "show_archived", message: "goes without state and states" });
  if (errors.length > 0) throw invalidInput(errors);
  return filterOf(
    {
      ...renamed,
      ...(show_archived && { state: ["active", "archived"] }),
      ...(from_date !== undefined && { from_date: String(from_date) }),
      ...(to_date !== undefined && { to_date: String(to_date) }),
    },
    "",
  );
}

const listed = <T>(value: T | T[] | undefined): T[] | null =>
  value === undefined ? null : Array.isArray(value) ? value : [value];

/** A moment of a query as RFC 3339; null where none is given or, with an error put to the others, none is readable. */
export function instantFrom(text: string | undefined, at: string, errors: FieldError[]): string | null {
  if (text === undefined) return null;
  // Seconds since 1970, as the earlier system took them; 0 is a date.
  if (/^\d{1,12}$/.test(text) && Number(text) * 1000 <= LAST_MOMENT) return new Date(Number(text) * 1000).toISOString();
  if (RFC_3339.test(text) && isDay(text.slice(0, 10)) && !Number.isNaN(Date.parse(text))) return text; // with its microseconds
  errors.push({ at, message: "must be RFC 3339 or whole seconds since 1970" });
  return null;
}

/** Date.parse takes the 31st of February for a day in March, and PostgreSQL has no year 0. */
const isDay = (text: string) =>
  !text.startsWith("0000") && new Date(`${text}T00:00:00Z`).toJSON()?.slice(0, 10) === text;

/** `key` or `key=value`. */
function tagFrom(text: string) {
  const cut = text.indexOf("=");
  return cut === -1 ? { key: text, value: null } : { key: text.slice(0, cut), value: text.slice(cut + 1) };
}

/**
 * One condition of the filter said plainly, for the index that has its rows in the order of lists: an "is null or" has
 * none. Only one, and words of closed sets as they are, so that there are few statements to prepare and to plan. With
 * the field that it says all of.
 */
function leading(tx: Tx, filter: Filter): { condition: postgres.Fragment; said?: keyof Filter } {
  const { app_ids, sources, states, artifact_types, categories } = filter;
  const only = <T>(values: T[] | null) => (values?.length === 1 ? values[0] : undefined);
  if (only(app_ids)) return { condition: tx`app_id = ${only(app_ids) ?? null}`, said: "app_ids" };
  if (only(states) === "paused") return { condition: tx`state = 'paused'` };
  if (only(states) === "archived") return { condition: tx`state = 'archived'` };
  if (only(sources) === "import") return { condition: tx`source = 'import'`, said: "sources" };
  if (only(sources) === "inference") return { condition: tx`source = 'inference'`, said: "sources" };
  if (only(artifact_types))
    return { condition: tx`artifact_type = ${only(artifact_types) ?? null}`, said: "artifact_types" };
  if (only(categories)) return { condition: tx`category = ${only(categories) ?? null}`, said: "categories" };
  return { condition: tx`true` };
}

/** Asked of every memory that is looked at: where few are about it, they are found otherwise (candidates.ts). */
const about = (tx: Tx, entities: string[]) => tx`
  exists (
    select from brain.memory_entities as mention
    where mention.memory_id = memories.id and (mention.space_id, mention.key) in (${keysNamed(tx, entities)}))`;

/**
 * The condition on `memories`. What is never asked alone is asked all or not at all: a statement for each set of fields
 * would be thousands to prepare.
 */
export function matching(tx: Tx, filter: Filter) {
  const { condition, said } = leading(tx, filter);
  const left = said ? { ...filter, [said]: null } : filter;
  // Said above, by `within`, or of how others are meant; whatever is left, a field to come too, is asked by `fitting`.
  const { states: _1, from_date: _2, to_date: _3, access_entities: _4, scopes: _5, ...rest } = left;
  const { any_of_them: _6, include_superseded: _7, tags, ...asked } = rest;
  const is_plain = tags.length === 0 && Object.values(asked).every((one) => one === null);
  return tx`
    ${condition} and state = any (${filter.states}) and ${during(tx, filter)}
    and ${is_plain ? tx`true` : fitting(tx, left)}`;
}

/** Both ends always, for an index in the order of time to begin and end at: by an "is null or" or a coalesce it walks all. */
const during = (tx: Tx, { from_date, to_date }: Filter) =>
  from_date || to_date
    ? tx`
  memories.created_at >= ${from_date ?? "-infinity"}::text::timestamptz
  and memories.created_at <= ${to_date ?? "infinity"}::text::timestamptz`
    : tx`true`;

const fitting = (tx: Tx, filter: Filter) => tx`
  (${filter.categories}::text[] is null or category = any (${filter.categories}))
  and (${filter.app_ids}::uuid[] is null or app_id = any (${filter.app_ids}))
  and (${filter.apps}::text[] is null or app = any (${filter.apps}))
  and (${filter.artifact_types}::text[] is null or artifact_type = any (${filter.artifact_types}))
  and (${filter.artifact_refs}::text[] is null or artifact_ref = any (${filter.artifact_refs}))
  and (${filter.sources}::text[] is null or source = any (${filter.sources}))
  and ${filter.entities === null ? tx`true` : about(tx, filter.entities)}
  and (${filter.evidence}::text[] is null or case when ${filter.any_of_them ?? false}
    then evidence && ${filter.evidence} else evidence @> ${filter.evidence} end)
  and ${tagged(tx, filter)}`;

/** One tag is asked for by far the most, and of thousands of rows to count. */
function tagged(tx: Tx, { tags, any_of_them }: Filter) {
  const [tag] = tags;
  if (!tag) return tx`true`;
  if (tags.length === 1)
    return tx`(jsonb_exists(tags, ${tag.key}) and (${tag.value}::text is null or tags ->> ${tag.key} = ${tag.value}))`;
  return tx`(
    select case when ${any_of_them ?? false} then bool_or(fits) else bool_and(fits) end
    from json_to_recordset(${JSON.stringify(tags)}::text::json) as wanted (key text, value text),
         lateral (select jsonb_exists(tags, key) and (value is null or tags ->> key = value) as fits) as judged)`;
}

/** The condition on its `spaces`. */
export const within = (tx: Tx, { access_entities, scopes }: Filter) =>
  access_entities || scopes
    ? tx`
  (${access_entities}::text[] is null or access_entity = any (${access_entities}))
  and (${scopes}::text[] is null or split_part(access_entity, ':', 1) = any (${scopes}))`
    : tx`true`;
