import postgres from "postgres";
import { prepareDatabase } from "../../src/ops/roles.ts";
import { middle } from "./interleaved.ts";
import { storeKnowledge } from "./knowledge.ts";
import { quantile, table, writeSection } from "./report.ts";
import { openStage, type Stage } from "./stage.ts";

/** How many orgs there are in the one database and in the other, and how many memories in each org. */
export interface Million {
  readonly few: number;
  readonly many: number;
  readonly memories: number;
  /** Requests of each route to each database. */
  readonly requests: number;
}

const LARGE = "coding_brain_large";
const USER = "ada";
const MOST_GROWTH = 1.3;
/** Orgs that are asked about, the same in both databases. */
const ASKED = 10;
const WARM = 10;

const orgOf = (number: number) => `org-${number}`;

/**
 * Routes that page, asked of a database with few orgs and of one with many, which is otherwise the same. Prints a table
 * and JSON; writes its section with WRITE=1.
 */
export async function benchMillion({ few, many, memories, requests }: Million) {
  const stage = await openStage();
  try {
    const first = await stage.serve();
    const one = await seedFirst(stage, first.url, memories);
    await first.stop();
    const large = await copyDatabase(stage);
    await copyOrgs(stage.root_database_url, "coding_brain", few);
    await copyOrgs(stage.root_database_url, LARGE, many);
    const services = [await stage.serve(), await stage.serve({ DATABASE_URL: large })] as const;
    const asked = await Promise.all(
      Array.from({ length: Math.min(ASKED, few) }, (_, number) => askerOf(stage, orgOf(number))),
    );
    const rows: { route: string; few: number[]; many: number[] }[] = [];
    for (const [route, body] of routesOf(one)) {
      const times: [number[], number[]] = [[], []];
      for (let turn = 0; turn < requests + WARM; turn++)
        for (const [place, service] of services.entries()) {
          const ms = await asked[turn % asked.length]?.(service.url, route, body);
          if (turn >= WARM && ms !== undefined) times[place]?.push(ms);
        }
      rows.push({ route: body ? `${route} ${JSON.stringify(body)}` : route, few: times[0], many: times[1] });
      console.error(route, middle(times[0]).toFixed(2), middle(times[1]).toFixed(2));
    }
    const bytes = await sizeOf(stage.root_database_url, LARGE);
    report({ few, many, memories, requests }, rows, bytes / (many * memories));
  } finally {
    await stage.close();
  }
}

/** One org as it is used, which the others are copies of. Gives one of its memories. */
async function seedFirst(stage: Stage, url: string, memories: number): Promise<{ id: string; app_id: string }> {
  const headers = await stage.headers(orgOf(0), USER);
  const response = await fetch(`${url}/api/v1/memories`, {
    method: "POST",
    headers,
    body: JSON.stringify({ content: "the first" }),
  });
  if (response.status !== 201) throw new Error(await response.text());
  const amounts = { memories: memories - 1, entities: memories / 5 };
  await storeKnowledge(stage, { org: orgOf(0), sub: USER, spaces: [`user:${USER}`] }, amounts);
  const [one] = await stage.owner<{ id: string; app_id: string }[]>`
    select id, app_id from brain.memories order by cardinality(entities) desc, id limit 1`;
  if (!one) throw new Error("nothing is stored");
  return one;
}

async function copyDatabase({ root_database_url, owner, server }: Stage): Promise<string> {
  await owner.end(); // a template must have no connections
  const root = postgres(root_database_url, { max: 1, onnotice: () => {} });
  await root`create database ${root(LARGE)} template coding_brain owner brain_owner`;
  await root.end();
  const { owner_password, service_password } = server.secrets;
  await prepareDatabase(root_database_url, LARGE, {
    owner: { name: "brain_owner", password: owner_password },
    service: { name: "brain_service", password: service_password },
  });
  return server.url("brain_service", service_password, LARGE);
}

/** Makes as many orgs as wanted: copies of the first, row by row, without what triggers would make of them. */
async function copyOrgs(root_url: string, database: string, count: number) {
  const url = new URL(root_url);
  url.pathname = `/${database}`;
  const root = postgres(url.href, { max: 1, onnotice: () => {} });
  await root`set session_replication_role = replica`;
  await root`set synchronous_commit = off`;
  const tables = await root<{ name: string; columns: string }[]>`
    select relname as name, string_agg(quote_ident(attname), ', ' order by attnum) as columns
    from pg_class
    join pg_attribute on attrelid = pg_class.oid
    where relnamespace = 'brain'::regnamespace and relkind = 'r' and attnum > 0 and attgenerated = '' and not attisdropped
      and attname <> 'org_id' and (relname, attname) <> ('orgs', 'name')
    group by relname`;
  const copies = tables.map(({ name, columns }) =>
    name === "orgs"
      ? `insert into brain.orgs (org_id, name, ${columns})
         select app.org_key($1), $1, ${columns} from brain.orgs where org_id = app.org_key($2)`
      : `insert into brain.${name} (org_id, ${columns}) overriding system value
         select app.org_key($1), ${columns} from brain.${name} where org_id = app.org_key($2)`,
  );
  for (let number = 1; number < count; number++) {
    // The names are the catalog's own.
    await root.begin((tx) => copies.map((copy) => tx.unsafe(copy, [orgOf(number), orgOf(0)], { prepare: true })));
    if (number % 100 === 0) console.error(`${database}: ${number} orgs`);
  }
  await root`vacuum analyze`;
  await root.end();
}

async function askerOf(stage: Stage, org: string) {
  const headers = await stage.headers(org, USER);
  return async (url: string, path: string, body?: object) => {
    const began = performance.now();
    const response = await fetch(`${url}/api/v1${path}`, {
      method: body ? "POST" : "GET",
      headers,
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path} was answered ${response.status} ${text}`);
    return performance.now() - began;
  };
}

/** What pages. The memory and its app are in every org: copies keep their ids. */
const routesOf = ({ id, app_id }: { id: string; app_id: string }): [path: string, body?: object][] => [
  ["/memories?size=20"],
  ["/memories?size=20&page=20"],
  ["/memories?category=decision"],
  ["/memories?tag=tag3"],
  ["/memories?entity=entity-3"],
  ["/memories?sort_column=content"],
  ["/memories?search_query=word7"],
  ["/memories/filter", { category: ["decision", "runbook"], size: 20 }],
  ["/search/lexical", { query: "word7 word300", limit: 20 }],
  [`/memories/${id}/history`],
  [`/memories/${id}/access-log`],
  [`/memories/${id}/related`],
  ["/entities"],
  ["/entities/entity-3/memories"],
  ["/graph/timeline"],
  ["/graph/search/memories?query=word7"],
  ["/graph/search/entities?query=entity"],
  ["/apps"],
  [`/apps/${app_id}/memories`],
  [`/apps/${app_id}/accessed`],
  ["/audit"],
];

async function sizeOf(root_url: string, database: string): Promise<number> {
  const root = postgres(root_url, { max: 1 });
  const [row] = await root<{ bytes: number }[]>`select pg_database_size(${database})::float8 as bytes`;
  await root.end();
  return row?.bytes ?? Number.NaN;
}

function report(
  { few, many, memories, requests }: Million,
  rows: { route: string; few: number[]; many: number[] }[],
  bytes_a_memory: number,
) {
  const told = rows.map(({ route, few, many }) => ({
    route,
    few: { p50: middle(few), p95: quantile(few, 0.95) },
    many: { p50: middle(many), p95: quantile(many, 0.95) },
    growth: middle(many) / middle(few),
  }));
  const text = `\`bun run bench million\`: routes that page, one request after the other, ${requests} of each to a database with ${few} orgs and, taking turns, to one with ${many}; ${memories} memories in each org, all of one user, about ${memories / 5} entities; ${Math.min(ASKED, few)} orgs are asked about. At most ${MOST_GROWTH} times the p50 is wanted. A memory takes ${(bytes_a_memory / 1024).toFixed(1)} KB on disk with all that is derived from it.

${table(
  ["route", `${few} orgs: p50 ms`, "p95", `${many} orgs: p50 ms`, "p95", "growth", ""],
  told.map(({ route, few, many, growth }) => [
    `\`${route}\``,
    ...[few.p50, few.p95, many.p50, many.p95, growth].map((value) => value.toFixed(2)),
    growth <= MOST_GROWTH ? "met" : "**not met**",
  ]),
)}`;
  if (process.env.WRITE) writeSection("A million memories", text);
  else console.log(text);
  console.log(JSON.stringify({ few, many, memories, bytes_a_memory, routes: told }));
}
