import postgres from "postgres";
import { cosine, partsOf } from "../embeddings/codes.ts";
import { Refusal } from "../refusal.ts";

/** An embedding space of an org, and how far it is filled. */
export interface SpaceReport {
  org: string;
  id: number;
  model: string;
  dimensions: number;
  state: "active" | "filling" | "former";
  memories: number;
  embedded: number;
  waiting: number;
  dead: number;
}

/** How like the answers of two spaces are: the share of the first ten that both give, over sampled memories. */
export interface Comparison {
  org: string;
  sampled: number;
  overlap: number;
}

const SAMPLES = 50;
const FIRST = 10;

async function asOwner<T>(url: string, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

/** The embedding spaces of all orgs, in the order of their names. */
export const embeddingSpaces = (owner_url: string): Promise<SpaceReport[]> =>
  asOwner(
    owner_url,
    (sql) => sql<SpaceReport[]>`
      select orgs.name as org, spaces.id, model, dimensions, state,
             (select count(*)::int from brain.memories where org_id = orgs.org_id and state <> 'deleted') as memories,
             (select count(*)::int from brain.memory_embeddings
              where org_id = orgs.org_id and embedding_space = spaces.id) as embedded,
             (select coalesce(sum(jsonb_array_length(payload -> 'memory_ids')), 0)::int from brain.jobs
              where org_id = orgs.org_id and not is_dead and (payload ->> 'embedding_space')::int = spaces.id) as waiting,
             (select coalesce(sum(jsonb_array_length(payload -> 'memory_ids')), 0)::int from brain.jobs
              where org_id = orgs.org_id and is_dead and (payload ->> 'embedding_space')::int = spaces.id) as dead
      from brain.embedding_spaces as spaces
      join brain.orgs using (org_id)
      order by orgs.name, spaces.id`,
  );

/**
 * Begins to fill a space of a model beside the one in use, in every org; the service's workers do it. What has no vector
 * yet in a space that is being filled, or in use, is left to be embedded too. Gives how many spaces it began.
 */
export const beginMigration = (owner_url: string, model: string, dimensions: number): Promise<number> =>
  asOwner(owner_url, (sql) =>
    sql.begin(async (tx) => {
      const begun = await tx`
        insert into brain.embedding_spaces (org_id, id, model, dimensions, state)
        select orgs.org_id, coalesce((select max(id) from brain.embedding_spaces as known where known.org_id = orgs.org_id), 0) + 1,
               ${model}, ${dimensions}, 'filling'
        from brain.orgs
        where not exists (
          select from brain.embedding_spaces as known
          where known.org_id = orgs.org_id
            and (known.state = 'filling' or known.state = 'active' and (known.model, known.dimensions) = (${model}, ${dimensions})))
        returning org_id`;
      await tx`
        select app.leave_to_embed(org_id, missing, id)
        from (
          select spaces.org_id, spaces.id, array_agg(memories.id) as missing
          from brain.embedding_spaces as spaces
          join brain.memories using (org_id)
          where spaces.state <> 'former' and memories.state <> 'deleted'
            and not exists (
              select from brain.memory_embeddings
              where org_id = spaces.org_id and memory_id = memories.id and embedding_space = spaces.id)
            and not exists (
              select from brain.jobs
              where org_id = spaces.org_id and (payload ->> 'embedding_space')::int = spaces.id
                and payload -> 'memory_ids' ? memories.id::text)
          group by spaces.org_id, spaces.id
        ) as portions`;
      return begun.length;
    }),
  );

/** Compares the space in use with the one being filled, org by org, by what each finds nearest to sampled memories. */
export const compareSpaces = (owner_url: string): Promise<Comparison[]> =>
  asOwner(owner_url, async (sql) => {
    const orgs = await sql<{ org_id: string; org: string; active: number; filling: number }[]>`
      select org_id, orgs.name as org, active.id as active, filling.id as filling
      from brain.orgs
      join brain.embedding_spaces as active using (org_id)
      join brain.embedding_spaces as filling using (org_id)
      where active.state = 'active' and filling.state = 'filling'
      order by orgs.name`;
    const compared: Comparison[] = [];
    for (const { org_id, org, active, filling } of orgs) {
      const samples = await sql<{ memory_id: string }[]>`
        select memory_id from brain.memory_embeddings
        where org_id = ${org_id} and embedding_space = ${filling} order by md5(memory_id::text) limit ${SAMPLES}`;
      const shares: number[] = [];
      for (const { memory_id } of samples) {
        const [one, other] = [
          await nearestTo(sql, org_id, active, memory_id),
          await nearestTo(sql, org_id, filling, memory_id),
        ];
        if (one.length > 0) shares.push(one.filter((id) => other.includes(id)).length / one.length);
      }
      const overlap = shares.reduce((sum, share) => sum + share, 0) / Math.max(shares.length, 1);
      compared.push({ org, sampled: shares.length, overlap });
    }
    return compared;
  });

/** The nearest memories to one, of its own space, by the space's vectors. */
async function nearestTo(sql: postgres.Sql, org_id: string, embedding_space: number, memory_id: string) {
  const rows = await sql<{ id: string; vector: Uint8Array; own: Uint8Array; dimensions: number }[]>`
    select near.memory_id as id, near.vector, own.vector as own, length(own.code) as dimensions
    from brain.memory_embeddings as own
    join brain.memory_embeddings as near using (org_id, space_id, embedding_space)
    where org_id = ${org_id} and embedding_space = ${embedding_space} and own.memory_id = ${memory_id}
      and near.memory_id <> own.memory_id
    order by bit_count(near.code # own.code), near.memory_id
    limit 100`;
  return rows
    .map(({ id, vector, own, dimensions }) => ({ id, cosine: cosine(partsOf(own, dimensions), vector) }))
    .sort((one, other) => other.cosine - one.cosine)
    .slice(0, FIRST)
    .map(({ id }) => id);
}

/** Puts the filled space to use in every org that has one; the one of before stays. Throws a Refusal where one is not whole. */
export const switchSpaces = (owner_url: string): Promise<number> =>
  asOwner(owner_url, (sql) =>
    sql.begin(async (tx) => {
      const missing = await tx<{ org: string }[]>`
        select distinct orgs.name as org
        from brain.embedding_spaces as spaces
        join brain.orgs using (org_id)
        join brain.memories using (org_id)
        where spaces.state = 'filling' and memories.state <> 'deleted' and not exists (
          select from brain.memory_embeddings
          where org_id = spaces.org_id and memory_id = memories.id and embedding_space = spaces.id)`;
      if (missing.length > 0)
        throw new Refusal(
          "failed",
          `The new space is not whole yet in ${missing.length} orgs; see brain embeddings status.`,
        );
      return swapped(tx, "filling");
    }),
  );

/** Puts the space of before to use again; the one in use is filled on beside it. Gives in how many orgs. */
export const switchBack = (owner_url: string): Promise<number> =>
  asOwner(owner_url, (sql) => sql.begin((tx) => swapped(tx, "former")));

/** The newest space of a state becomes the one in use; that one goes where it leaves room. */
async function swapped(tx: postgres.TransactionSql, from: "filling" | "former"): Promise<number> {
  const next = await tx<{ org_id: string; id: number }[]>`
    select distinct on (org_id) org_id, id from brain.embedding_spaces where state = ${from} order by org_id, id desc`;
  for (const { org_id, id } of next) {
    await tx`
      update brain.embedding_spaces set state = ${from === "filling" ? "former" : "filling"}
      where org_id = ${org_id} and state = 'active'`;
    await tx`update brain.embedding_spaces set state = 'active' where org_id = ${org_id} and id = ${id}`;
    // What was stored meanwhile went to the other space alone.
    await tx`
      select app.leave_to_embed(${org_id}, array(
        select id from brain.memories
        where org_id = ${org_id} and state <> 'deleted' and not exists (
          select from brain.memory_embeddings
          where org_id = ${org_id} and memory_id = memories.id and embedding_space = ${id})), ${id})`;
  }
  return next.length;
}

/** A job that is not done yet. */
export interface JobReport {
  org: string;
  id: string;
  kind: string;
  sub: string;
  attempts: number;
  run_at: string;
  last_error: string | null;
  is_dead: boolean;
}

/** Jobs that wait, or that were given up, the oldest first. */
export const jobsLeft = (owner_url: string, { dead = false, limit = 100 } = {}): Promise<JobReport[]> =>
  asOwner(
    owner_url,
    (sql) => sql<JobReport[]>`
      select orgs.name as org, jobs.id, kind, sub, attempts, run_at::text as run_at, last_error, is_dead
      from brain.jobs
      join brain.orgs using (org_id)
      where is_dead or not ${dead}
      order by jobs.created_at, jobs.id limit ${limit}`,
  );

/** Gives dead jobs another ten times, from now on; gives how many. */
export const retryJobs = (owner_url: string): Promise<number> =>
  asOwner(owner_url, async (sql) => {
    const { count } = await sql`update brain.jobs set is_dead = false, attempts = 0, run_at = now() where is_dead`;
    return count;
  });
