import { stopServer } from "../support/server.ts";
import { openWorld, type Person } from "../support/world.ts";
import { storeKnowledge } from "./knowledge.ts";

/**
 * `bun run bench:graph`: every read of the graph over REST, for a caller with 10,000 memories and 2,000 entities beside
 * a colleague and a stranger with as many. Prints milliseconds. GRAPH_MEMORIES makes it another number.
 */
const MEMORIES = Number(process.env.GRAPH_MEMORIES || 10_000);
const ROUNDS = 20;

const ada: Person = { org: "bench", sub: "ada", grants: ["project:bench/web"] };
const others: Person[] = [
  { org: "bench", sub: "bob" },
  { org: "other", sub: "ada" },
];

const world = await openWorld();
try {
  const amounts = { memories: MEMORIES, entities: MEMORIES / 5 };
  const spaces = ["user:ada", "project:bench/web"];
  for (const access_entity of spaces) await world.api(ada).post("/memories", { content: "first", access_entity });
  await storeKnowledge(world, { ...ada, spaces }, amounts);
  for (const [index, person] of others.entries()) {
    await world.api(person).post("/memories", { content: "first" });
    await storeKnowledge(world, { ...person, spaces: [`user:${person.sub}`], seed: index + 2 }, amounts);
  }
  await world.owner`vacuum analyze`;
  // One about the commonest things, which costs most.
  const [memory] = await world.owner<{ id: string }[]>`
    select id from brain.memories
    where owner = 'ada' and org_id = app.org_key('bench') and tags ? 'tag0' and 'Entity 0' = any (entities)
    order by cardinality(entities) desc, id
    limit 1`;

  const around = `/memories/${memory?.id}`;
  const reads = [
    `${around}/related`,
    `${around}/related?via=evidence,code_ref`,
    `${around}/similar`,
    `${around}/graph?depth=1`,
    `${around}/graph`,
    "/graph/stats",
    ...["category", "access_entity", "tag", "entity", "evidence"].map((one) => `/graph/aggregate/${one}`),
    "/graph/tags/cooccurrence",
    "/graph/tags/tag3/related",
    "/graph/search/memories?query=word7",
    "/graph/search/entities?query=entity+12",
    "/graph/timeline",
    "/graph/timeline?entity_name=entity-0&event_types=decision",
    "/graph/analytics/communities/entities",
    "/graph/analytics/communities/memories",
    "/graph/analytics/similarity/entities",
    "/graph/analytics/similarity/entities?entity_name=entity0",
    "/graph/analytics/connectivity",
  ];
  console.log(`${MEMORIES} memories, ${MEMORIES / 5} entities; milliseconds of ${ROUNDS} calls: middle, worst`);
  for (const path of reads) {
    const times: number[] = [];
    for (let round = 0; round < ROUNDS + 2; round++) {
      const started = performance.now();
      const { status } = await world.api(ada).get(path);
      if (status !== 200) throw new Error(`${path} was answered ${status}`);
      if (round >= 2) times.push(performance.now() - started); // the first ones plan and compile
    }
    times.sort((a, b) => a - b);
    const told = [times[Math.floor(ROUNDS / 2)] ?? 0, times.at(-1) ?? 0].map((ms) => ms.toFixed(0).padStart(5));
    console.log(`${told.join("")}  ${path.replace(memory?.id ?? "", "{id}")}`);
  }
} finally {
  await world.close();
  await stopServer();
}
