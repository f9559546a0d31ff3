import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Caller, Tx } from "../../src/db.ts";
import { entityCentrality, entityPageRank } from "../../src/entities/analytics.ts";
import { findDuplicates, findSemanticDuplicates } from "../../src/entities/duplicates.ts";
import { mergeEntities } from "../../src/entities/merge.ts";
import { pathBetween } from "../../src/entities/path.ts";
import { addRelation, entityRelations } from "../../src/entities/relations.ts";
import { entityMemories, entityNetwork, getEntity, listEntities } from "../../src/entities/service.ts";
import { undoMerge } from "../../src/entities/undo.ts";
import { entityName, seedGraph } from "../support/graph_seed.ts";
import { openWorld, type Person, type World } from "../support/world.ts";

/** How many statements each answer takes, of few rows and of many: it must be the same number. */
let world: World;
const FEW = { org: "acme", sub: "few", memories: 8, entities: 6 };
const MANY = { org: "acme", sub: "many", memories: 200, entities: 80 };

const SEEDING_MS = 60_000;
beforeAll(async () => {
  world = await openWorld();
  for (const size of [FEW, MANY]) {
    await world.api(size).post("/memories", { content: "first" });
    await seedGraph(world.owner, size);
    const api = world.api(size);
    for (let rank = 1; rank < size.entities; rank += 4)
      await api.post(`/entities/${encodeURIComponent(entityName(0))}/relations`, {
        target: entityName(rank),
        type: "uses",
      });
  }
}, SEEDING_MS);
afterAll(() => world.close());

/** The person's caller, and how many statements its transactions had: a query that is part of another is never executed. */
function countingCaller({ org, sub }: Person) {
  const queries: { executed?: boolean }[] = [];
  const counted = (tx: Tx) =>
    new Proxy(tx, {
      apply(target, self, args) {
        const query = Reflect.apply(target as never, self, args) as { executed?: boolean };
        queries.push(query);
        return query;
      },
    });
  const caller = world.database.callerFor(
    { org, sub, jti: "x", scopes: new Set(), grants: [`user:${sub}`], expires_at: 0 },
    "rest",
    "",
  );
  const counting: Caller = {
    ...caller,
    read: (work) => caller.read((tx) => work(counted(tx))),
    write: (work) => caller.write((tx) => work(counted(tx))),
  };
  return { caller: counting, count: () => queries.filter(({ executed }) => executed).length };
}

const [HUB, NEXT] = [entityName(0), entityName(1)];
const READS: [string, number, (caller: Caller) => Promise<unknown>][] = [
  ["a list", 1, (caller) => listEntities(caller, { limit: 200 })],
  ["an entity", 4, (caller) => getEntity(caller, HUB)],
  ["a network", 2, (caller) => entityNetwork(caller, HUB, { limit: 200 })],
  ["its memories", 2, (caller) => entityMemories(caller, HUB, { limit: 5 })],
  ["its relations", 2, (caller) => entityRelations(caller, HUB, { limit: 200 })],
  ["a path", 6, (caller) => pathBetween(caller, [HUB, NEXT])],
  ["centrality", 3, (caller) => entityCentrality(caller)],
  ["PageRank", 3, (caller) => entityPageRank(caller)],
  ["duplicates", 1, (caller) => findDuplicates(caller, { limit: 200 })],
  ["semantic duplicates", 1, (caller) => findSemanticDuplicates(caller, { threshold: 0.1, limit: 200 })],
  ["a dry run", 5, (caller) => mergeEntities(caller, { canonical: HUB, variants: [NEXT] })],
  ["a relation", 5, (caller) => addRelation(caller, HUB, { target: NEXT, type: "calls" })],
];

test.each(READS)("%s takes %d statements, of few rows and of many", async (_what, statements, work) => {
  for (const person of [FEW, MANY]) {
    const { caller, count } = countingCaller(person);
    await work(caller);
    expect([person.sub, count()]).toEqual([person.sub, statements]);
  }
});

test("a merge takes as many of one name as of many, and so does taking it back", async () => {
  for (const variants of [[NEXT], [1, 2, 3, 5, 6, 7, 8].map(entityName)]) {
    const { caller, count } = countingCaller(MANY);
    const { merges } = await mergeEntities(caller, { canonical: HUB, variants, dry_run: false });
    expect([variants.length, count()]).toEqual([variants.length, 8]);
    const undoing = countingCaller(MANY);
    await undoMerge(undoing.caller, merges[0]?.merge_id ?? "");
    expect(undoing.count()).toBe(3);
  }
});
