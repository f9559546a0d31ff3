import type { Tx } from "../db.ts";
import { memoriesAbout } from "../entities/names.ts";
import { type FieldError, invalidInput } from "../problem.ts";
import { CATEGORIES, type ListQuery, READABLE_STATES } from "./schema.ts";

/** What a memory must be, field by field; null allows anything. */
export interface Filter {
  states: string[];
  categories: string[] | null;
  access_entities: string[] | null;
  scope: string | null;
  app_ids: string[] | null;
  artifact_type: string | null;
  artifact_ref: string | null;
  entity: string | null;
  source: string | null;
  /** RFC 3339; both ends count. */
  from_date: string | null;
  to_date: string | null;
  /** Each must be there; with a value other than null, with that value as text. */
  tags: { key: string; value: string | null }[];
  /** Whether a search finds what an active memory replaces; null is no. Lists always show it. */
  include_superseded: true | null;
}

/** Nothing but what is active. */
export const ANY: Filter = {
  states: ["active"],
  categories: null,
  access_entities: null,
  scope: null,
  app_ids: null,
  artifact_type: null,
  artifact_ref: null,
  entity: null,
  source: null,
  from_date: null,
  to_date: null,
  tags: [],
  include_superseded: null,
};

const MAX_TAGS = 16;
/** A key of 128, the sign, a value of 1024. */
const MAX_TAG_LENGTH = 1153;
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
    states: query.state ? [query.state] : states,
    categories: query.category ? [query.category] : (words("categories", CATEGORIES) ?? null),
    access_entities: query.access_entity ? [query.access_entity] : null,
    scope: query.scope ?? null,
    app_ids: query.app_id ? [query.app_id] : (query.app_ids?.split(",") ?? null),
    artifact_type: query.artifact_type ?? null,
    artifact_ref: query.artifact_ref ?? null,
    entity: query.entity ?? null,
    source: query.source ?? null,
    from_date: instantFrom(query.from_date, "from_date", errors),
    to_date: instantFrom(query.to_date, "to_date", errors),
    tags: tags.map(tagFrom),
    include_superseded: query.include_superseded === "true" || null,
  };
  if (errors.length > 0) throw invalidInput(errors);
  return filter;
}

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

/** The condition on `memories`. */
export const matching = (tx: Tx, filter: Filter) => tx`
  state = any (${filter.states})
  and (${filter.categories}::text[] is null or category = any (${filter.categories}))
  and (${filter.app_ids}::uuid[] is null or app_id = any (${filter.app_ids}))
  and (${filter.artifact_type}::text is null or artifact_type = ${filter.artifact_type})
  and (${filter.artifact_ref}::text is null or artifact_ref = ${filter.artifact_ref})
  and (${filter.source}::text is null or source = ${filter.source})
  and (${filter.from_date}::text is null or memories.created_at >= ${filter.from_date}::text::timestamptz)
  and (${filter.to_date}::text is null or memories.created_at <= ${filter.to_date}::text::timestamptz)
  and ${filter.entity === null ? tx`true` : tx`memories.id = any (array(${memoriesAbout(tx, filter.entity)}))`}
  and not exists (
    select from json_to_recordset(${JSON.stringify(filter.tags)}::text::json) as wanted (key text, value text)
    where not jsonb_exists(tags, key) or (value is not null and tags ->> key is distinct from value))`;

/** The condition on its `spaces`. */
export const within = (tx: Tx, { access_entities, scope }: Filter) => tx`
  (${access_entities}::text[] is null or access_entity = any (${access_entities}))
  and (${scope}::text is null or split_part(access_entity, ':', 1) = ${scope})`;
