import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Caller } from "../../src/db.ts";
import { entityCentrality } from "../../src/entities/analytics.ts";
import { findDuplicates } from "../../src/entities/duplicates.ts";
import { mergeEntities } from "../../src/entities/merge.ts";
import { pathBetween } from "../../src/entities/path.ts";
import { entityRelations } from "../../src/entities/relations.ts";
import { entityMemories, entityNetwork, getEntity, listEntities } from "../../src/entities/service.ts";
import { entityName, seedGraph } from "../support/graph_seed.ts";
import { countedOf } from "../support/reads.ts";
import { openWorld, type World } from "../support/world.ts";

/**
 * What is read for a caller with few memories beside a colleague with many about the same things. Counted in entries
 * of indices, as rows that are read to be thrown away would tell about the colleague by the clock.
 */
let world: World;
const FEW = { org: "acme", sub: "few", memories: 10, entities: 8 };
const MANY = { org: "acme", sub: "many", memories: 1500, entities: 400 };
/** Of mentions, entities, relations and memories: the few's own some times over, and far from the many's 8,000. */
const MOST_READ = 700;
const SEEDING_MS = 60_000;

beforeAll(async () => {
  world = await openWorld();
  for (const size of [FEW, MANY]) {
    await world.api(size).post("/memories", { content: "first" });
    await seedGraph(world.owner, size);
    await world.api(size).post(`/entities/${encodeURIComponent(HUB)}/relations`, { target: NEXT, type: "uses" });
  }
}, SEEDING_MS);
afterAll(() => world.close());

const [HUB, NEXT] = [entityName(0), entityName(1)];

/** Entries of indices and rows without one, of everything that tells of entities, read by some work of the few's, or of another. */
const entriesRead = (work: (caller: Caller) => Promise<unknown>, { org, sub } = FEW) =>
  countedOf(
    world,
    async (sql) => {
      const [row] = await sql<{ read: number }[]>`
        select (sum(idx_tup_read) + (
          select sum(seq_tup_read) from pg_stat_user_tables
          where schemaname = 'brain' and relname in ('memory_entities', 'entities', 'relations', 'memories')))::int as read
        from pg_stat_get_snapshot_timestamp() as cleared, pg_stat_user_indexes
        where schemaname = 'brain' and relname in ('memory_entities', 'entities', 'relations', 'memories')`;
      return row?.read ?? 0;
    },
    (database) => {
      const identity = { org, sub, jti: "x", scopes: new Set<string>(), grants: [`user:${sub}`], expires_at: 0 };
      return work(database.callerFor(identity, "rest", ""));
    },
  );

const TIMES = 8;

test.each<[what: string, work: (caller: Caller) => Promise<unknown>]>([
  ["a list", (caller) => listEntities(caller, {})],
  ["an entity", (caller) => getEntity(caller, HUB)],
  ["a network", (caller) => entityNetwork(caller, HUB)],
  ["its memories", (caller) => entityMemories(caller, HUB, {})],
  ["its relations", (caller) => entityRelations(caller, HUB)],
  ["a path", (caller) => pathBetween(caller, [HUB, NEXT])],
  ["centrality", (caller) => entityCentrality(caller)],
  ["duplicates", (caller) => findDuplicates(caller, {})],
  ["a dry run", (caller) => mergeEntities(caller, { canonical: HUB, variants: [NEXT] })],
])("%s reads no more than the caller's own rows", async (_what, work) => {
  const read = await entriesRead(async (caller) => {
    // Often enough for the driver's prepared statements to get their generic plans.
    for (let times = 0; times < TIMES; times++) await work(caller);
  });
  expect(read / TIMES).toBeGreaterThan(0);
  expect(read / TIMES).toBeLessThanOrEqual(MOST_READ);
});

test("the name at the other end of a relation is looked up, not searched for among all names", async () => {
  const relations = 40;
  for (let rank = 2; rank < relations + 2; rank++)
    await world.api(MANY).post(`/entities/${encodeURIComponent(HUB)}/relations`, {
      target: entityName(rank),
      type: "uses",
    });
  const read = await entriesRead(async (caller) => {
    for (let times = 0; times < TIMES; times++) await entityRelations(caller, HUB, { limit: 200 });
  }, MANY);
  expect(read / TIMES).toBeGreaterThan(relations);
  expect(read / TIMES).toBeLessThan(relations * 20); // of 400 names
});
