import { CANARY_PATTERN, type Viewer } from "./needles.ts";
import type { World } from "./world.ts";

/** Columns that hold text and no canary, each with the reason. Everything else must have one in every org. */
const EXCEPTIONS: Record<string, string> = {
  "memories.category": "one of a few words, by its check",
  "memories.artifact_type": "one of a few words, by its check",
  "memories.source": "one of a few words, by its check",
  "memories.state": "one of a few words, by its check",
  "space_sizes.category": "a copy of the memory's",
  "space_sizes.artifact_type": "a copy of the memory's",
  "space_sizes.source": "a copy of the memory's",
  "space_sizes.state": "a copy of the memory's",
  "memory_entities.origin": "one of a few words, by its check",
  "memory_access_log.kind": "one of a few words, by its check",
  "events.type": "one of a few words, by its check",
  "events.start_date": "a date",
  "events.end_date": "a date",
  "memory_revisions.state": "a copy of the memory's",
  "audit_events.action": "one of our words, or a route or tool",
  "audit_events.outcome": "one of a few words, by its check",
  "mcp_sessions.id": "32 hexadecimal digits, by its check: looked for as an id",
  "mcp_sessions.toolsets": "of a few words, by its check",
  "mcp_sessions.log_level": "one of a few words, by its check",
  "mcp_messages.session_id": "a session's id",
  "space_words.backwards": "the word, the other way round",
  "embedding_spaces.state": "one of a few words, by its check",
  "jobs.kind": "one of a few words, by its check",
};

/** Types that carry text, or what was made of it. */
const TEXTUAL = ["text", "text[]", "varchar", "bpchar", "name", "citext", "json", "jsonb", "xml", "tsvector"];

interface Column {
  table: string;
  column: string;
  type: string;
}

/** Holds what was planted against the catalog: each table has rows, each column that holds text a canary, in every org. */
export async function checkCoverage({ owner, people, notes }: World): Promise<string> {
  const columns = await owner<Column[]>`
    select relname as table, attname as column, format_type(atttypid, null) as type
    from pg_attribute
    join pg_class on pg_class.oid = attrelid
    where relnamespace = 'brain'::regnamespace and relkind in ('r', 'p') and attnum > 0 and not attisdropped
    order by 1, attnum`;
  const names = people.filter(({ sub }) => sub === "ada").map(({ org }) => org);
  const tables = [...new Set(columns.map(({ table }) => table))];
  for (const table of tables) {
    const [row] = await owner<{ orgs: number }[]>`
      select count(distinct org_id)::int as orgs from ${owner(`brain.${table}`)}
      where org_id in (select app.org_key(name) from unnest(${names}::text[]) as name)`;
    if (row?.orgs !== names.length)
      notes.find(`brain.${table} has no planted row in ${names.length - (row?.orgs ?? 0)} orgs.`);
  }
  const textual = columns.filter(({ type }) => isTextual(type));
  for (const { table, column } of textual) {
    if (EXCEPTIONS[`${table}.${column}`]) continue;
    const [row] = await owner<{ orgs: number }[]>`
      select count(distinct org_id)::int as orgs from ${owner(`brain.${table}`)}
      where ${owner(column)}::text ~ ${CANARY_PATTERN}`;
    // Twins have the same name in every org, so the name of a user is a canary in the long form alone.
    if ((row?.orgs ?? 0) < names.length && !isOfNames(table, column, people.length))
      notes.find(`brain.${table}.${column} has no canary in ${names.length - (row?.orgs ?? 0)} orgs.`);
  }
  for (const name of Object.keys(EXCEPTIONS))
    if (!columns.some(({ table, column }) => `${table}.${column}` === name))
      notes.find(`brain.${name} needs no exception from the canaries: there is no such column.`);
  return `${tables.length} tables, ${textual.length} columns with text`;
}

const isTextual = (type: string) => TEXTUAL.includes(type) || /^character/.test(type);

/** Columns that repeat a user's or a space's name. */
const NAMES = [
  "users.sub",
  "spaces.access_entity",
  "spaces.access_keys",
  "memories.owner",
  "memories.updated_by",
  "memory_revisions.updated_by",
  "memory_access_log.sub",
  "relations.owner",
  "events.owner",
  "entity_merges.owner",
  "settings.updated_by",
  "jobs.sub",
];
const SHORT_CAST = 6;
const isOfNames = (table: string, column: string, people: number) =>
  people <= SHORT_CAST && NAMES.includes(`${table}.${column}`);

/**
 * Has every uuid of every row looked for. Whose it is follows from the row it is the id of: whoever may read its space,
 * its user, or else its org. Rows that only refer to it make it nobody else's, but the id of an app goes with what came
 * through it.
 */
export async function collectIds({ owner, haystack, people }: World): Promise<number> {
  const columns = await owner<IdColumn[]>`
    select relname as table, ids.attname as column,
           exists (select from pg_attribute where attrelid = pg_class.oid and attname = 'space_id') as has_space,
           (select attname from pg_attribute where attrelid = pg_class.oid and attname in ('user_id', 'owner_id')
              and relname <> 'audit_events') as user -- the audit is the org's
    from pg_attribute as ids
    join pg_class on pg_class.oid = attrelid
    where relnamespace = 'brain'::regnamespace and relkind in ('r', 'p')
      and atttypid = 'uuid'::regtype and attname not in ('org_id', 'owner_id', 'user_id') and not attisdropped
    order by attname <> 'id', relname`;
  let count = 0;
  for (const column of columns) {
    const is_its_own = column.column === "id" || column.column === "app_id";
    for (const { id, org, space, sub } of await idsIn(owner, column)) {
      if (!is_its_own && haystack.knows(id)) continue;
      haystack.id(id, `brain.${column.table}.${column.column}`, viewerOf(org, space, sub));
      count++;
    }
  }
  for (const org of new Set(people.map((person) => person.org))) {
    const [row] = await owner<{ key: string }[]>`select app.org_key(${org})::text as key`;
    if (row) haystack.id(row.key, "brain.orgs.org_id", { org });
  }
  return count;
}

interface IdColumn {
  table: string;
  column: string;
  has_space: boolean;
  /** The column that says whose a row is. */
  user: string | null;
}

function idsIn(owner: World["owner"], { table, column, has_space, user }: IdColumn) {
  const whose = table === "users" ? "id" : user;
  return owner<{ id: string; org: string; space: string | null; sub: string | null }[]>`
    select distinct t.${owner(column)}::text as id, orgs.name as org,
           ${has_space ? owner`access_entity` : owner`null`} as space, ${whose ? owner`whose.sub` : owner`null`} as sub
    from ${owner(`brain.${table}`)} as t
    join brain.orgs using (org_id)
    ${has_space ? owner`join brain.spaces on spaces.org_id = t.org_id and spaces.id = t.space_id` : owner``}
    ${whose ? owner`join brain.users as whose on whose.org_id = t.org_id and whose.id = t.${owner(whose)}` : owner``}
    where t.${owner(column)} is not null`;
}

const viewerOf = (org: string, space: string | null, sub: string | null): Viewer =>
  space !== null ? { org, space } : sub !== null ? { org, sub } : { org };
