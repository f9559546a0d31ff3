import type { Database, Job } from "../db.ts";
import type { Log } from "../log.ts";
import { problemFrom } from "../problem.ts";
import { stored } from "./codes.ts";
import { type Embedder, EmbedderError } from "./provider.ts";

const EVERY_MS = 500;
const JOBS_AT_ONCE = 4;
/** Nobody waits for it. */
const PATIENCE_MS = 60_000;
/** A model reads no further: this is more than 8,000 tokens of English. */
const MOST_CHARACTERS = 32_000;

/** A worker that runs. */
export interface Worker {
  /** Ends what it is at and stops. */
  stop(): Promise<void>;
}

/**
 * Does the jobs that writes leave, for as long as the service runs; every process of a deployment may. What fails is put
 * off and logged, at first and when it is given up.
 */
export function startWorker(database: Database, embedder: Embedder, log: Log): Worker {
  let running: Promise<unknown> = Promise.resolve();
  let is_stopping = false;
  let dimensions: number | undefined;
  const turn = async () => {
    try {
      // How many there are the model alone knows: it is asked once, and again while it does not answer.
      dimensions ??= await dimensionsOf(embedder);
      if (dimensions) while ((await database.openEmbeddingSpaces(embedder.model, dimensions)) > 0);
      while (!is_stopping && (await workOnce(database, embedder, log)) > 0);
    } catch (error) {
      log("warn", "jobs are not done just now", { cause: problemFrom(error).code });
    }
  };
  const timer = setInterval(() => {
    running = running.then(turn);
  }, EVERY_MS);
  return {
    async stop() {
      is_stopping = true;
      clearInterval(timer);
      await running;
    },
  };
}

/** The length of the model's vectors; undefined while the provider does not say. */
export const dimensionsOf = (embedder: Embedder): Promise<number | undefined> =>
  embedder
    .embed(embedder.model, ["dimensions"], PATIENCE_MS)
    .then(([vector]) => vector?.length)
    .catch((error: unknown) => {
      if (error instanceof EmbedderError) return undefined;
      throw error;
    });

/** Does jobs that are due, a few at a time, and gives how many it took. Throws what the database throws. */
export async function workOnce(database: Database, embedder: Embedder, log: Log): Promise<number> {
  const jobs = await database.claimJobs(JOBS_AT_ONCE);
  await Promise.all(
    jobs.map(async (job) => {
      try {
        await embed(database, embedder, job);
      } catch (error) {
        const cause = error instanceof EmbedderError ? error.message : problemFrom(error).code;
        if (job.attempts === 1 || job.attempts >= 10)
          log("warn", "a job failed", { id: job.id, kind: job.kind, cause });
        await database.failJob(job, cause);
      }
    }),
  );
  return jobs.length;
}

/** As the user who wrote, with a grant for the one space: what is out of sight by now is left alone. */
async function embed(database: Database, embedder: Embedder, job: Job) {
  const { embedding_space, memory_ids } = job.payload;
  const identity = {
    org: job.org,
    sub: job.sub,
    jti: `job ${job.id}`,
    scopes: new Set<string>(),
    grants: [job.access_entity],
    expires_at: 0,
  };
  const caller = database.callerFor(identity, "jobs", job.id);
  const { space, memories } = await caller.read(async (tx) => {
    const [space] = await tx<{ model: string; dimensions: number }[]>`
      select model, dimensions from brain.embedding_spaces where id = ${embedding_space} and state <> 'former'`;
    const memories = await tx<{ id: string; content: string; said: string }[]>`
      select id, content, said
      from unnest(${memory_ids}::uuid[]) as wanted (id)
      cross join lateral (
        -- By its key, here and below: in one go all of the space are read where nobody has analyzed the table.
        select content, content_key::text as said from brain.memories
        where memories.id = wanted.id and state <> 'deleted' limit 1
      ) as memory`;
    return { space, memories };
  });
  const vectors =
    space && memories.length > 0
      ? await embedder.embed(
          space.model,
          memories.map(({ content }) => content.slice(0, MOST_CHARACTERS)),
          PATIENCE_MS,
        )
      : [];
  if (space && vectors.some((vector) => vector.length !== space.dimensions))
    throw new EmbedderError(`answered with ${vectors[0]?.length} dimensions instead of ${space.dimensions}`);
  const rows = memories.map(({ id, said }, place) => {
    const { code, vector } = stored(vectors[place] ?? new Float32Array());
    return { id, said, code, vector: vector.toString("hex") };
  });
  await caller.write(async (tx) => {
    // What has changed meanwhile has left a job of its own.
    if (vectors.length > 0)
      await tx`
        insert into brain.memory_embeddings (space_id, embedding_space, memory_id, code, vector)
        select space_id, ${embedding_space}, id, code::varbit, decode(vector, 'hex')
        from json_to_recordset(${JSON.stringify(rows)}::text::json) as made (id uuid, said text, code text, vector text)
        cross join lateral (
          select space_id from brain.memories
          where memories.id = made.id and content_key::text = said and state <> 'deleted' limit 1
        ) as memory
        on conflict do nothing`;
    await tx`select app.finish_job(${job.id})`;
  });
}
