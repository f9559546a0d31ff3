import postgres from "postgres";
import type { Tx } from "../../src/db.ts";
import { stored } from "../../src/embeddings/codes.ts";
import { ANY } from "../../src/memories/filter.ts";
import { parseQuery } from "../../src/search/query.ts";
import { NEAREST, semanticHits } from "../../src/search/semantic.ts";
import { seededRandom } from "../support/random.ts";
import { freshDatabase, stopServer } from "../support/server.ts";
import { mean, quantile, table, writeSection } from "./report.ts";

const QUERIES = 50;
const FIRST = 10;
const CLUSTERS = 200;

/** Measures the semantic leg against exact search over the same vectors, through the service's role; writes its section. */
export async function benchVectors(counts: readonly number[], dimensions: readonly number[]) {
  const rows: (string | number)[][] = [];
  for (const count of counts)
    for (const length of dimensions) rows.push([count, length, ...(await measured(count, length))]);
  await stopServer();
  writeSection(
    "Vectors",
    `\`bun run bench vectors\`: signs compared in the database under the policies, the ${NEAREST} nearest ranked by 12-bit vectors, against the cosine of the exact vectors; ${QUERIES} queries, recall of the exact ten. Vectors are clustered like those of texts: a direction common to all, ${CLUSTERS} clusters, and noise. The time is that of the leg alone.

${table(["memories", "dimensions", "recall@10", "p50 ms", "p95 ms"], rows)}`,
  );
}

/** Recall of the exact ten, and what the leg takes. */
export async function measured(
  count: number,
  length: number,
  clusters = CLUSTERS,
): Promise<[recall: string, p50: string, p95: string]> {
  const database = await freshDatabase();
  const owner = postgres(database.owner_url, { max: 1, onnotice: () => {} });
  const service = postgres(database.service_url, { max: 1, onnotice: () => {} });
  try {
    const make = vectorsOf(length, clusters);
    const vectors = Array.from({ length: count }, make);
    const ids = await store(owner, vectors);
    await owner`vacuum analyze`;
    const shares: number[] = [];
    const times: number[] = [];
    for (let asked = 0; asked < QUERIES; asked++) {
      const query = make();
      const exact = new Set(nearest(query, vectors).map((place) => ids[place]));
      const found = await service.begin("read only", async (tx) => {
        await tx`select app.enter('vectors', 'one', 'a token', '{user:one}')`;
        const started = performance.now();
        const hits = await semanticHits(
          tx as unknown as Tx,
          { embedding_space: 1, vector: query },
          parseQuery(""),
          ANY,
          null,
        );
        times.push(performance.now() - started);
        return hits;
      });
      shares.push(found.slice(0, FIRST).filter(({ id }) => exact.has(id)).length / FIRST);
    }
    return [mean(shares).toFixed(3), quantile(times, 0.5).toFixed(1), quantile(times, 0.95).toFixed(1)];
  } finally {
    await Promise.all([owner.end(), service.end()]);
    await database.drop();
  }
}

/** Makes unit vectors, clustered, one after the other. */
function vectorsOf(length: number, clusters: number): () => Float32Array {
  const next = seededRandom(length);
  const normal = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  const direction = () => unit(Float32Array.from({ length }, normal));
  const common = direction();
  const centres = Array.from({ length: clusters }, direction);
  return () => {
    const centre = centres[Math.floor(next() * clusters)] ?? common;
    const noise = 0.6 / Math.sqrt(length);
    return unit(common.map((part, place) => 0.5 * part + 0.7 * (centre[place] ?? 0) + noise * normal()));
  };
}

function unit(vector: Float32Array): Float32Array {
  const size = Math.sqrt(vector.reduce((sum, part) => sum + part * part, 0));
  return vector.map((part) => part / size);
}

/** The places of the nearest by the exact product of unit vectors. */
function nearest(query: Float32Array, vectors: readonly Float32Array[]): number[] {
  return vectors
    .map((vector, place): [number, number] => {
      let product = 0;
      for (let part = 0; part < query.length; part++) product += (query[part] ?? 0) * (vector[part] ?? 0);
      return [product, place];
    })
    .sort(([one], [other]) => other - one)
    .slice(0, FIRST)
    .map(([, place]) => place);
}

/** A memory for each vector, in one space; gives their ids in the order of the vectors. */
async function store(owner: postgres.Sql, vectors: readonly Float32Array[]): Promise<string[]> {
  await owner`select app.provision('vectors', 'one', '{}', '{}', 'rest')`;
  await owner`alter table brain.memories disable trigger user`;
  const ids = vectors.map(() => Bun.randomUUIDv7());
  await owner`
    insert into brain.memories (org_id, id, space_id, owner_id, owner, updated_by, app_id, app, content)
    select org_id, made.id, spaces.id, owner_id, 'one', 'one', apps.id, 'rest', 'memory ' || made.id
    from brain.apps join brain.spaces using (org_id), unnest(${ids}::uuid[]) as made (id)`;
  await owner`
    insert into brain.embedding_spaces (org_id, id, model, dimensions, state)
    values (app.org_key('vectors'), 1, 'made up', ${vectors[0]?.length ?? 0}, 'active')`;
  for (let from = 0; from < vectors.length; from += 500) {
    const rows = vectors.slice(from, from + 500).map((made, place) => {
      const { code, vector } = stored(made);
      return { id: ids[from + place], code, vector: vector.toString("hex") };
    });
    await owner`
      insert into brain.memory_embeddings (org_id, space_id, embedding_space, memory_id, code, vector)
      select org_id, space_id, 1, memories.id, code::varbit, decode(vector, 'hex')
      from json_to_recordset(${JSON.stringify(rows)}::text::json) as made (id uuid, code text, vector text)
      join brain.memories using (id)`;
  }
  return ids;
}
