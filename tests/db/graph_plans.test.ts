import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Caller } from "../../src/db.ts";
import { aggregate } from "../../src/graph/aggregate.ts";
import { entityCommunities, memoryCommunities } from "../../src/graph/communities.ts";
import { connectivity } from "../../src/graph/connectivity.ts";
import { findEntities, findMemories } from "../../src/graph/find.ts";
import { relatedMemories } from "../../src/graph/related.ts";
import { graphStats } from "../../src/graph/service.ts";
import { similarMemories } from "../../src/graph/similar.ts";
import { similarEntities } from "../../src/graph/similarity.ts";
import { memorySubgraph } from "../../src/graph/subgraph.ts";
import { relatedTags, tagPairs } from "../../src/graph/tags.ts";
import { timeline } from "../../src/graph/timeline.ts";
import { storeKnowledge } from "../bench/knowledge.ts";
import { countedOf } from "../support/reads.ts";
import { openWorld, type World } from "../support/world.ts";

/**
 * What the graph of a caller with few rows costs beside a colleague with many, who speaks of the same things. Counted in
 * rows and index entries read, not in time: to read a colleague's, even to throw them away, would tell of them.
 */
let world: World;
let memory_id: string;
const MANY = 5000;
const FEW = 30;
const ROUNDS = 8; // often enough for prepared statements to get their generic plans
/** Rows a read may look at for each memory of the caller's: itself, its mentions, their names, some of them several times. */
const ROWS_EACH = 60;

beforeAll(async () => {
  world = await openWorld();
  for (const [sub, memories] of Object.entries({ many: MANY, few: FEW })) {
    await world.api({ org: "acme", sub }).post("/memories", { content: "first" });
    await storeKnowledge(world, { org: "acme", sub, spaces: [`user:${sub}`] }, { memories, entities: 50 });
  }
  await world.owner`vacuum analyze`;
  const [memory] = await world.owner<{ id: string }[]>`
    select id from brain.memories where owner = 'few' order by cardinality(entities) desc, id limit 1`;
  memory_id = memory?.id ?? "";
}, 60_000);
afterAll(() => world.close());

const few = { org: "acme", sub: "few", jti: "x", scopes: new Set<string>(), grants: ["user:few"], expires_at: 0 };

/** Rows and index entries of the tenants' tables read by some work of the few's. */
const rowsRead = async (work: (caller: Caller) => Promise<unknown>) =>
  (await countedOf(
    world,
    async (sql) => {
      const [row] = await sql<{ read: number }[]>`
        select (select sum(seq_tup_read) from pg_stat_user_tables where schemaname = 'brain')::int
               + (select sum(idx_tup_read) from pg_stat_user_indexes where schemaname = 'brain')::int as read
        from pg_stat_get_snapshot_timestamp() as cleared`;
      return row?.read ?? 0;
    },
    async (database) => {
      const caller = database.callerFor(few, "rest", "");
      for (let round = 0; round < ROUNDS; round++) await work(caller);
    },
  )) / ROUNDS;

test.each<[what: string, work: (caller: Caller) => Promise<unknown>]>([
  ["related", (caller) => relatedMemories(caller, memory_id)],
  ["similar", (caller) => similarMemories(caller, memory_id)],
  ["the subgraph", (caller) => memorySubgraph(caller, memory_id)],
  ["the statistics", (caller) => graphStats(caller)],
  ["categories", (caller) => aggregate(caller, "category")],
  ["tags", (caller) => aggregate(caller, "tag")],
  ["entities", (caller) => aggregate(caller, "entity")],
  ["pairs of tags", (caller) => tagPairs(caller)],
  ["tags that go with one", (caller) => relatedTags(caller, "tag0")],
  ["memories found", (caller) => findMemories(caller, { query: "word1" })],
  ["entities found", (caller) => findEntities(caller, { query: "Entity 1" })],
  ["the timeline", (caller) => timeline(caller)],
  ["the timeline of an entity", (caller) => timeline(caller, { entity_name: "Entity 0" })],
  ["communities of entities", (caller) => entityCommunities(caller)],
  ["communities of memories", (caller) => memoryCommunities(caller)],
  ["likeness of entities", (caller) => similarEntities(caller)],
  ["connectivity", (caller) => connectivity(caller)],
])("%s: no more is read than the caller's own", async (_what, work) => {
  const rows = await rowsRead(work);
  expect(rows).toBeGreaterThan(0);
  expect(rows).toBeLessThanOrEqual((FEW + 1) * ROWS_EACH);
});
