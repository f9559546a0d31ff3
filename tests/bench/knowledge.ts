import type postgres from "postgres";
import { seededRandom } from "../support/random.ts";
import type { World } from "../support/world.ts";

/** How much of everything there is. */
export interface Amounts {
  memories: number;
  entities: number;
}

const WORDS = 3000;
const TAGS = 200;
const EVIDENCE = 3000;
const ARTIFACTS = 300;
const PATHS = 1000;
const BATCH = 100; // what is counted of the words of a statement takes the square of them

const CATEGORIES = ["decision", "convention", "architecture", "runbook", "note", "note", "note"];

/**
 * Stores memories of a user in spaces that are in use, taking turns, as the database's owner. A few names, words and
 * tags are everywhere and most are rare, as in real notes. What derives from them is written here, in a statement for each
 * batch: the trigger looks each word up, and ten thousand memories would take minutes.
 */
export async function storeKnowledge(
  { owner }: Pick<World, "owner">,
  { org, sub, spaces, seed = 1 }: { org: string; sub: string; spaces: string[]; seed?: number },
  { memories, entities }: Amounts,
): Promise<void> {
  const random = seededRandom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const skewed = (limit: number) => Math.floor(limit * random() ** 3);
  const some = <T>(most: number, one: () => T) => [...new Set(Array.from({ length: below(most + 1) }, one))];
  const memory = (at: number) => {
    const category = CATEGORIES[below(CATEGORIES.length)];
    const words = Array.from({ length: 20 + below(20) }, () => `word${skewed(WORDS)}`);
    const day = new Date(Date.UTC(2020, 0, 1 + below(2000))).toISOString().slice(0, 10);
    return {
      id: Bun.randomUUIDv7(),
      access_entity: spaces[at % spaces.length],
      content: `${category === "decision" ? `${day}: ` : ""}Note ${seed}-${at} ${words.join(" ")}`,
      category,
      artifact_ref: random() < 0.5 ? `service-${skewed(ARTIFACTS)}` : null,
      entities: some(5, () => `Entity ${skewed(entities)}`),
      evidence: some(2, () => `https://example.com/adr/${below(EVIDENCE)}`),
      tags: Object.fromEntries(some(4, () => [`tag${skewed(TAGS)}`, true])),
      code_refs: some(2, () => `src/part${below(PATHS)}.ts`).map((path) => ({ path })),
    };
  };
  for (let from = 0; from < memories; from += BATCH) {
    const rows = Array.from({ length: Math.min(BATCH, memories - from) }, (_, at) => memory(from + at));
    await owner.begin(async (tx) => {
      await tx`alter table brain.memories disable trigger _650_derive_insert`;
      await tx`
        insert into brain.memories (org_id, id, space_id, owner_id, owner, updated_by, app_id, app, content, category,
                                    artifact_ref, entities, evidence, tags, code_refs)
        select users.org_id, new.id, spaces.id, users.id, sub, sub, apps.id, apps.name, content, category, artifact_ref,
               entities, evidence, tags, code_refs
        from jsonb_to_recordset(${tx.json(rows as unknown as postgres.JSONValue)}) as new (
               id uuid, access_entity text, content text, category text, artifact_ref text, entities text[],
               evidence text[], tags jsonb, code_refs jsonb)
        join brain.users on users.org_id = app.org_key(${org}) and sub = ${sub}
        join brain.spaces on spaces.org_id = users.org_id and spaces.access_entity = new.access_entity
        join brain.apps on apps.org_id = users.org_id and apps.owner_id = users.id and apps.name = 'rest'`;
      await tx`
        with named as (
          select org_id, space_id, id, app.entity_key(name) as key, name, origin
          from brain.memories
          cross join lateral app.names_in(entities, artifact_ref, code_refs, '')
          where id = any (${rows.map(({ id }) => id)}::uuid[])
        ),
        made as (
          insert into brain.entities (org_id, space_id, key, display_name)
          select distinct on (org_id, space_id, key) org_id, space_id, key, name from named
          on conflict do nothing
        )
        insert into brain.memory_entities (org_id, space_id, memory_id, key, origin, is_active)
        select distinct on (org_id, id, key) org_id, space_id, id, key, origin, true from named`;
      await tx`
        insert into brain.events (org_id, id, space_id, name, type, start_date, memory_id, owner_id, owner, app, is_derived)
        select org_id, gen_random_uuid(), space_id, left(content, 160), 'decision', left(content, 10), id, owner_id, owner,
               app, true
        from brain.memories
        where id = any (${rows.map(({ id }) => id)}::uuid[]) and category = 'decision'`;
      await tx`alter table brain.memories enable trigger _650_derive_insert`;
    });
  }
}
