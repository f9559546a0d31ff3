import postgres from "postgres";
import { stored } from "../../src/embeddings/codes.ts";
import { openStandIn } from "../support/embedder.ts";
import { seededRandom } from "../support/random.ts";
import { quantile, table, writeSection } from "./report.ts";
import { openBench, type User } from "./service.ts";

/** How many memories there are: in all, in the org of the first caller, and in the own space of the second. */
export interface Sizes {
  readonly all: number;
  readonly large: number;
  readonly small: number;
}

const ORG = 10_000;
const PORTION = 5000;
const QUERIES = 300;
const DIMENSIONS = 1024;
const WORDS = 20_000;

/** Measures searches beside many foreign rows, then beside twice as many, on a service of its own; writes its section. */
export async function benchLatency({ all, large, small }: Sizes) {
  const stand_in = openStandIn({ dimensions: DIMENSIONS });
  const bench = await openBench({ EMBEDDINGS_URL: stand_in.url, EMBEDDINGS_MODEL: "stand-in" });
  const sql = postgres(bench.owner_database_url, { max: 1, onnotice: () => {} });
  try {
    await sql`select setseed(0.5)`;
    await sql`
      create table public.bench_words as
      select n, substr(translate(md5(n::text), '0123456789', 'ghijklmnop'), 1, 4 + n % 7) as word
      from generate_series(1, ${WORDS}::int) as n`;
    const callers = {
      [`${large} in the org`]: await filled(sql, await bench.user("large", "one"), "large", large),
      [`${small} of one's own`]: await filled(sql, await bench.user("small", "one"), "small", small),
    };
    await sql`delete from brain.jobs`; // the worker would embed for minutes beside the searches
    const foreign = all - large - small;
    const rows: (string | number)[][] = [];
    let stands = 0;
    for (const until of [Math.floor(foreign / 2), foreign]) {
      for (; stands < until; stands += ORG)
        await foreignOrg(
          sql,
          await bench.user(`foreign-${stands}`, "one"),
          `foreign-${stands}`,
          Math.min(ORG, until - stands),
        );
      await sql`vacuum analyze`;
      for (const [name, user] of Object.entries(callers))
        rows.push([name, until, "words and links", ...(await timed(user, "/search/lexical"))]);
    }
    await vectors(sql, "large");
    await sql`vacuum analyze brain.memory_embeddings`;
    const [first] = Object.entries(callers);
    if (first) rows.push([first[0], foreign, "with vectors", ...(await timed(first[1], "/search"))]);
    writeSection(
      "Latency",
      `\`bun run bench latency\`: searches of 2 to 6 words of a Zipf-distributed vocabulary of ${WORDS}, limit 10, one after the other through REST, ${QUERIES} of each; memories of 20 words; the service, its clients and the database on one machine of ${navigator.hardwareConcurrency} cores, which is not idle while this runs. Vectors: ${DIMENSIONS} dimensions, from a stand-in server on the same machine.

${table(["caller's memories", "foreign memories", "search", "p50 ms", "p95 ms"], rows)}`,
    );
  } finally {
    await sql.end();
    await bench.close();
    stand_in.close();
  }
}

/** Memories of a user's own, as every write stores them. */
async function filled(sql: postgres.Sql, user: User, org: string, count: number): Promise<User> {
  await user.store([{ content: "the first" }]);
  await insert(sql, org, count);
  return user;
}

/** An org of strangers. Its terms are written without the triggers, in one go: a million rows take their time. */
async function foreignOrg(sql: postgres.Sql, user: User, org: string, count: number) {
  await user.store([{ content: "the first" }]);
  await sql`alter table brain.memories disable trigger user`;
  await insert(sql, org, count);
  await sql`alter table brain.memories enable trigger user`;
  await sql`
    insert into brain.memory_terms (org_id, space_id, term, memory_id, earned)
    select org_id, space_id, lexeme, id, cardinality(positions) / (cardinality(positions) + 120 / 160.0)
    from brain.memories
    cross join lateral unnest(terms) as words (lexeme, positions, weights)
    where org_id = app.org_key(${org}) and content <> 'the first'
    order by org_id, space_id, lexeme, id`;
  await sql`
    insert into brain.space_sizes (org_id, space_id, state, category, app_id, app, source, artifact_type, memories, is_sum)
    select org_id, space_id, state, category, app_id, app, source, artifact_type, count(*), true
    from brain.memories
    where org_id = app.org_key(${org}) and content <> 'the first'
    group by org_id, space_id, state, category, app_id, app, source, artifact_type`;
}

async function insert(sql: postgres.Sql, org: string, count: number) {
  for (let from = 0; from < count; from += PORTION)
    await sql`
      insert into brain.memories (org_id, id, space_id, owner_id, owner, updated_by, app_id, app, content, thread, created_at)
      select place.org_id, gen_random_uuid(), space_id, owner_id, owner, owner, app_id, app, made.n || ' ' || made.text,
             'thread ' || made.n / 20, now() + made.n * interval '1 ms'
      from (select * from brain.memories where org_id = app.org_key(${org}) and content = 'the first') as place
      cross join (
        select memory, string_agg(word, ' ')
        from (
          -- The rank of a word is the exponential of an even number: the first words are in every text.
          select numbers.n as memory, floor(exp(random() * ln(${WORDS}::float8)))::int as rank
          from generate_series(${from + 1}::int, ${Math.min(from + PORTION, count)}::int) as numbers (n),
               generate_series(1, 20) as times
        ) as ranks
        join public.bench_words on bench_words.n = rank
        group by memory
      ) as made (n, text)`;
}

/** Vectors for all memories of an org, as a worker would have stored them. */
async function vectors(sql: postgres.Sql, org: string) {
  await sql`
    insert into brain.embedding_spaces (org_id, id, model, dimensions, state)
    values (app.org_key(${org}), 1, 'stand-in', ${DIMENSIONS}, 'active') on conflict do nothing`;
  await sql`delete from brain.jobs`;
  const next = seededRandom(4);
  const memories = await sql<{ id: string; space_id: number }[]>`
    select id, space_id from brain.memories where org_id = app.org_key(${org})`;
  for (let from = 0; from < memories.length; from += 500) {
    const rows = memories.slice(from, from + 500).map((memory) => {
      const { code, vector } = stored(Float32Array.from({ length: DIMENSIONS }, () => next() - 0.5));
      return { ...memory, code, vector: vector.toString("hex") };
    });
    await sql`
      insert into brain.memory_embeddings (org_id, space_id, embedding_space, memory_id, code, vector)
      select app.org_key(${org}), space_id, 1, id, code::varbit, decode(vector, 'hex')
      from json_to_recordset(${JSON.stringify(rows)}::text::json) as made (id uuid, space_id int, code text, vector text)
      on conflict do nothing`;
  }
}

async function timed(user: User, path: string): Promise<[p50: string, p95: string]> {
  const next = seededRandom(3);
  const queries = Array.from({ length: QUERIES + 20 }, () =>
    Array.from({ length: 2 + Math.floor(next() * 5) }, () =>
      wordAt(Math.floor(Math.exp(next() * Math.log(WORDS)))),
    ).join(" "),
  );
  const times: number[] = [];
  for (const query of queries) times.push((await user.post(path, { query, limit: 10 })).ms);
  const warm = times.slice(20);
  return [quantile(warm, 0.5).toFixed(1), quantile(warm, 0.95).toFixed(1)];
}

/** The word of a rank, as the table of words makes it. */
function wordAt(rank: number): string {
  const digest = new Bun.CryptoHasher("md5").update(String(rank)).digest("hex");
  const letters = digest.replace(/\d/g, (digit) => "ghijklmnop".charAt(Number(digit)));
  return letters.slice(0, 4 + (rank % 7));
}
