import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { NewMemory } from "../../src/memories/schema.ts";
import { fitting } from "../support/arbitrary.ts";
import { backups, membersOf } from "../support/archives.ts";
import { openWorld, type Person, type World } from "../support/world.ts";

/**
 * What is exported and imported into an empty org says the same in every field that is content, whatever it says.
 * A failure prints its seed; ROUND_TRIP_SEED runs it again.
 */
const SPACE = "project:acme/web";
const seeded = process.env.ROUND_TRIP_SEED ? { seed: Number(process.env.ROUND_TRIP_SEED) } : {};
const RUNS = 6;

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

let orgs = 0;
const somebody = (): Person => ({ org: `org ${++orgs}`, sub: "ada", grants: [SPACE] });

/** Without what a closed world gives values for. */
const { supersedes: _supersedes, entity: _entity, access_entity: _space, ...plain } = NewMemory.properties;
const memory = fc.record({
  memory: fitting({ ...NewMemory, properties: plain } as never),
  access_entity: fc.constantFrom(SPACE, "user:ada"),
  state: fc.constantFrom("active", "paused", "archived", "deleted"),
  is_changed: fc.boolean(),
  supersedes: fc.option(fc.nat(), { nil: null }),
  odd: fc
    .string({ unit: "binary", minLength: 1, maxLength: 200 })
    .filter((text) => text.trim() !== "" && !text.includes("\0")),
});

// biome-ignore lint/suspicious/noExplicitAny: rows and answers of every shape
type Json = any;

test("memories, their order, links, relations and events come back as they were", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(memory, { minLength: 1, maxLength: 12 }), async (given) => {
      const [from, to] = [somebody(), somebody()];
      await store(from, given as Json[]);
      const archive = await backups(world, from).export();
      const { status, body } = await backups(world, to).import(archive);
      expect({ status, rejected: body.rejected, reasons: body.reasons }).toEqual({
        status: 200,
        rejected: 0,
        reasons: [],
      });
      const [before, after] = [await contentOf(from), await contentOf(to)];
      expect(after.memories).toEqual(before.memories);
      expect(after.relations).toEqual(before.relations);
      expect(after.events).toEqual(before.events);

      // What comes out again is the same archive, but for ids and times.
      const again = await membersOf(await backups(world, to).export());
      const lines = (again["memories.jsonl"] ?? "").split("\n").filter(Boolean);
      expect(lines.length).toBe(before.memories.length);

      const repeated = await backups(world, to).import(archive, "?mode=overwrite");
      expect(repeated.body).toMatchObject({ created: 0, updated: 0, skipped: lines.length, relations: 0, events: 0 });
      expect(await contentOf(to)).toEqual(after);
    }),
    { numRuns: RUNS, endOnFailure: true, interruptAfterTimeLimit: 90_000, markInterruptAsFailure: true, ...seeded },
  );
}, 120_000);

/** Stores memories by hand, one after the other, and says things with them. */
async function store(person: Person, given: Json[]) {
  const api = world.api(person);
  const living_ids: string[] = [];
  for (const { memory, access_entity, state, is_changed, supersedes, odd } of given) {
    const older = supersedes === null ? undefined : living_ids[supersedes % living_ids.length];
    const content = `${odd} ${crypto.randomUUID()}`;
    const { status, body } = await api.post("/memories", {
      ...taken(memory),
      content,
      access_entity,
      ...(older && { supersedes: older }),
    });
    expect([status, body.errors]).toEqual([201, undefined]);
    if (state !== "deleted") living_ids.push(body.id);
    if (is_changed) await api.put(`/memories/${body.id}`, { content: `changed ${content}` });
    await say(body.id);
    // There is no route into every state: the columns the service may write.
    if (state !== "active") await world.owner`update brain.memories set state = ${state} where id = ${body.id}`;
  }
}

/** A memory as the service takes it: no schema says that lines are in order, numbers within 2^53, no tag `__proto__`. */
function taken({ code_refs, tags, ...rest }: Json): Json {
  const isKept = (value: unknown) => typeof value !== "number" || Math.abs(value) <= Number.MAX_SAFE_INTEGER;
  const kept = Array.isArray(tags)
    ? tags.filter((key) => key !== "__proto__")
    : Object.fromEntries(Object.entries(tags ?? {}).filter(([, value]) => isKept(value)));
  return {
    ...rest,
    tags: kept,
    ...(code_refs && { code_refs: code_refs.map(({ line_end: _, ...ref }: Json) => ref) }),
  };
}

/** A relation and an event that a memory says, and some that none does. */
async function say(id: string) {
  const sql = world.owner;
  await sql`
    insert into brain.entities (org_id, space_id, key, display_name)
    select org_id, space_id, app.entity_key(name), name
    from brain.memories, unnest(array['Postgre SQL', 'Straße 9', '東京']) as name where id = ${id}
    on conflict do nothing`;
  for (const memory_id of [id, null]) {
    await sql`
      insert into brain.relations (org_id, id, space_id, from_key, to_key, type, memory_id, owner_id, owner, app)
      select org_id, gen_random_uuid(), space_id, 'postgresql', app.entity_key('東京'), 'stands_in', ${memory_id}, owner_id, owner, app
      from brain.memories where id = ${id}
      on conflict do nothing`;
    await sql`
      with event as (
        insert into brain.events (org_id, id, space_id, name, type, start_date, end_date, description, memory_id, owner_id, owner, app)
        select org_id, gen_random_uuid(), space_id, ${`said with ${id}`}, 'release', '2025-02', '2025-03-31', ${"ünï\n\u202e"},
               ${memory_id}, owner_id, owner, app
        from brain.memories where id = ${id}
        returning org_id, space_id, id
      )
      insert into brain.event_entities (org_id, space_id, event_id, key)
      select org_id, space_id, id, app.entity_key('Straße 9') from event`;
  }
}

/** All that is content in an org, memories in the order they are listed, their ids by their places. */
async function contentOf({ org }: Person) {
  const sql = world.owner;
  const memories: Json[] = await sql`
    select memories.id, content, category, access_entity, artifact_type, artifact_ref, entities, thread, evidence, tags::text,
           code_refs::text, source, metadata::text, state, supersedes
    from brain.memories join brain.spaces on spaces.org_id = memories.org_id and spaces.id = space_id
    where memories.org_id = app.org_key(${org})
    order by memories.created_at, memories.id`;
  const places = new Map(memories.map(({ id }, place) => [id, place]));
  // Deleted, a memory is superseded by nobody and says nothing.
  const deleted = new Set(memories.filter(({ state }) => state === "deleted").map(({ id }) => id));
  const living = ({ memory_id }: Json) => memory_id === null || !deleted.has(memory_id);
  const relations: Json[] = await sql`
    select access_entity, from_key, to_key, type, memory_id
    from brain.relations join brain.spaces on spaces.org_id = relations.org_id and spaces.id = space_id
    where relations.org_id = app.org_key(${org})`;
  const events: Json[] = await sql`
    select access_entity, name, type, start_date, end_date, description, is_derived, memory_id,
           array(select key from brain.event_entities where event_entities.org_id = events.org_id and event_id = events.id
                 order by key) as entities
    from brain.events join brain.spaces on spaces.org_id = events.org_id and spaces.id = space_id
    where events.org_id = app.org_key(${org})`;
  const placed = (rows: Json[]) =>
    rows
      .filter(living)
      .map(({ memory_id, ...row }) => JSON.stringify({ ...row, memory: places.get(memory_id) }))
      .sort();
  return {
    memories: memories.map(({ id: _, supersedes, ...rest }) => ({
      ...rest,
      supersedes: deleted.has(supersedes) ? undefined : places.get(supersedes),
    })),
    relations: placed(relations),
    events: placed(events),
  };
}
