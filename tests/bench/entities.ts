import { entityName, seedGraph } from "../support/graph_seed.ts";
import { stopServer } from "../support/server.ts";
import { openWorld } from "../support/world.ts";

/**
 * `bun tests/bench/entities.ts [memories] [entities]`: what each read of entities takes over REST, of 10,000 memories
 * about 2,000 entities if nothing else is said, beside as many of a colleague's and of another org's. Exits with 1 where one is over its limit.
 */
const [memories = 10_000, entities = 2000] = process.argv.slice(2).map(Number);
const ROUNDS = 15;

const [hub, usual, rare, other] = [0, 0.02, 0.95, 0.85]
  .map((part) => Math.floor(part * entities))
  .map((rank) => encodeURIComponent(entityName(rank)));
/** The path of each read, and the most it may take, in ms, in the middle of its rounds. */
const READS: [path: string, limit: number][] = [
  ["/entities", 50],
  ["/entities?limit=200&min_memories=5", 50],
  [`/entities/${hub}`, 50],
  [`/entities/${rare}`, 50],
  [`/entities/${hub}/network?limit=200`, 50],
  [`/entities/${usual}/network`, 50],
  [`/entities/${hub}/relations`, 50],
  [`/entities/${hub}/memories`, 50],
  [`/entities/${rare}/memories`, 50],
  [`/memories?entity=${usual}`, 50],
  [`/entities/path/${rare}/${other}`, 500],
  [`/entities/path/${hub}/${rare}`, 500],
  ["/entities/analytics/centrality", 500],
  ["/entities/analytics/pagerank", 500],
  ["/entities/normalization/duplicates", 500],
  ["/entities/normalization/semantic-duplicates", 500],
];

const world = await openWorld();
const people = [
  { org: "acme", sub: "ada" },
  { org: "acme", sub: "cyd" },
  { org: "umbrella", sub: "ada" },
];
for (const person of people) {
  await world.api(person).post("/memories", { content: "first" });
  await seedGraph(world.owner, { ...person, memories, entities });
}
await world.owner`vacuum analyze`; // as autovacuum does before there are so many
const [ada] = people;
if (!ada) throw new Error("there is nobody");
const api = world.api(ada);
for (let rank = 1; rank < 60; rank++)
  await api.post(`/entities/${hub}/relations`, { target: entityName(rank), type: "uses" });

console.log("  p50 ms  max ms");
let too_slow = 0;
for (const [path, limit] of READS) {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const started = performance.now();
    const { status } = await api.get(path);
    times.push(performance.now() - started);
    if (status !== 200) throw new Error(`${path} was answered ${status}`);
  }
  times.sort((a, b) => a - b);
  const [middle = 0, most = 0] = [times[Math.floor(ROUNDS / 2)], times.at(-1)];
  const is_slow = middle > limit;
  if (is_slow) too_slow++;
  const told = decodeURIComponent(path);
  console.log(
    `${middle.toFixed(1).padStart(8)}${most.toFixed(1).padStart(8)}  ${told}${is_slow ? `  over ${limit}` : ""}`,
  );
}
await world.close();
await stopServer();
process.exit(too_slow > 0 ? 1 : 0);
