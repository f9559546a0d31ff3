import { NotProvisioned } from "../db/caller.ts";
import type { Caller, Tx } from "../db.ts";
import type { Similar } from "../search/similar.ts";
import { columns, newColumns, stored } from "./columns.ts";
import type { columnsFrom } from "./input.ts";
import type { Memory, STATES } from "./schema.ts";

/** A memory to store, with the space it goes to. An import says the id and the state too. */
export type NewRow = ReturnType<typeof columnsFrom> & {
  access_entity: string;
  id?: string;
  state?: (typeof STATES)[number];
};

/** A memory as it is stored now; `duplicate` where it was there before, `similar` what it may replace. */
export type Stored = Memory & { duplicate?: true; similar?: Similar[] };

/** How often a twin may come and go while one row is stored. */
const MOST_TRIES = 3;

/** The id after one that is taken by what the caller does not see. */
export const nextId = (id: string) => Bun.randomUUIDv5("next", id);

/**
 * Stores rows and gives them in their order. One that says exactly what an active memory of its space says, or an
 * earlier row here, is not stored again but answered with that one. One statement however many rows;
 * json_to_recordset keeps it one prepared statement too, and metadata as it came. `in_order` stores them one after the
 * other: else two batches that cross would wait for each other.
 */
export async function insertIn(
  tx: Tx,
  caller: Caller,
  rows: NewRow[],
  { in_order = false, tries = MOST_TRIES } = {},
): Promise<Stored[]> {
  const given = rows.map((row, place) => ({ id: Bun.randomUUIDv7() as string, ...row, place }));
  const placed = await tx<(Memory & { place: number; is_new: boolean })[]>`
    with placed as (
      select new.*, spaces.id as space_id, apps.id as app_id
      from json_to_recordset(${JSON.stringify(given)}::text::json) as new (
             place int, id uuid, access_entity text, content text, category text, artifact_type text, artifact_ref text,
             entities text[], thread text, evidence text[], tags jsonb, code_refs jsonb, source text, metadata json,
             supersedes uuid, state text)
      join brain.spaces using (access_entity)
      join brain.apps on apps.name = ${caller.app}
    ),
    added as (
      insert into brain.memories (id, space_id, app_id, app, content, category, artifact_type, artifact_ref,
                                  entities, thread, evidence, tags, code_refs, source, metadata, supersedes, state)
      select id, space_id, app_id, ${caller.app}, content, coalesce(category, 'note'), artifact_type, artifact_ref,
             coalesce(entities, '{}'), thread, coalesce(evidence, '{}'), coalesce(tags, '{}'),
             coalesce(code_refs, '[]'), coalesce(source, 'user'), coalesce(metadata, '{}'), supersedes,
             coalesce(state, 'active')
      from placed
      order by ${in_order ? tx`place` : tx`space_id, app.content_key(content), place`}
      on conflict do nothing
      returning ${stored(tx)}
    )
    select place, memories.id is not null as is_new, ${newColumns(tx)}
    from (select place, id, access_entity from placed) as asked
    left join added as memories on memories.id = asked.id
    order by place`;
  if (placed.length < rows.length) throw new NotProvisioned(rows.map((row) => row.access_entity));
  const known = await duplicatesIn(
    tx,
    given.filter(({ state = "active", place }) => state === "active" && !placed[place]?.is_new),
  );
  return Promise.all(
    placed.map(async ({ place, is_new, ...memory }) => {
      if (is_new) return memory;
      const duplicate = known.get(place);
      if (duplicate) return { ...duplicate, duplicate: true as const };
      // Its twin has gone between the two statements and now there is room, or the id it brought is taken.
      if (tries === 0) throw new Error("a twin that is neither there nor gone");
      const rest = rows
        .slice(place, place + 1)
        .map(({ id, ...row }) => ({ ...row, ...(id && tries > 1 && { id: nextId(id) }) }));
      const [again] = await insertIn(tx, caller, rest, { in_order, tries: tries - 1 });
      if (!again) throw new Error("an insert gave no row");
      return again;
    }),
  );
}

/** Throws NotProvisioned for spaces the caller does not see yet: a retry must not wait for a write it would not see. */
export async function expectSpaces(tx: Tx, rows: NewRow[]) {
  const wanted = [...new Set(rows.map((row) => row.access_entity))];
  const seen = await tx`select from brain.spaces where access_entity = any (${wanted})`;
  if (seen.length < wanted.length) throw new NotProvisioned(wanted);
}

/** The active memories that say what these rows say, by the rows' places. */
async function duplicatesIn(tx: Tx, rows: (NewRow & { place: number })[]): Promise<Map<number, Memory>> {
  if (rows.length === 0) return new Map();
  const asked = rows.map(({ place, access_entity, content }) => ({ place, access_entity, said: content }));
  const found = await tx<(Memory & { place: number })[]>`
    select place, ${columns(tx)}
    from json_to_recordset(${JSON.stringify(asked)}::text::json) as asked (place int, access_entity text, said text)
    join brain.spaces using (access_entity)
    -- A look-up for each: in a join the key, which a function makes of a row, is kept out of the index by the policy.
    cross join lateral (
      select * from brain.memories
      where space_id = spaces.id and content_key = app.content_key(said) and state = 'active'
      limit 1
    ) as memories`;
  return new Map(found.map(({ place, ...memory }) => [place, memory]));
}
