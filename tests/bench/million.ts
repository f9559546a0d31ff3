import postgres from "postgres";
import { createApp } from "../../src/app.ts";
import { createLog } from "../../src/log.ts";
import { newestMigration } from "../../src/ops/migration_files.ts";
import { prepareDatabase } from "../../src/ops/roles.ts";
import { countedOf } from "../support/reads.ts";
import { SETTINGS } from "../support/world.ts";
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
const WARM = 30;
/** Requests whose pages are counted. */
const COUNTED = 20;
const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
/** How often the first org is asked and written to in each way, so that what this leaves is copied with it. */
const USES = 100;

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
    await loading(stage.root_database_url, async () => {
      await copyOrgs(stage.root_database_url, "coding_brain", few);
      await copyOrgs(stage.root_database_url, LARGE, many);
    });
    const urls = [stage.database_url, large] as const;
    const before = await Promise.all(urls.map((url) => cacheOf(stage, url)));
    const services = [await stage.serve(), await stage.serve({ DATABASE_URL: large })] as const;
    const asked = await Promise.all(
      Array.from({ length: Math.min(ASKED, few) }, (_, number) => stage.headers(orgOf(number), USER)),
    );
    const rows: Row[] = [];
    for (const [path, body] of routesOf(one)) {
      const times: [number[], number[]] = [[], []];
      for (let turn = 0; turn < requests + WARM; turn++)
        for (const [place, service] of services.entries()) {
          const request = requestOf(service.url, path, asked[turn % asked.length], body);
          const began = performance.now();
          await answered(fetch(request), path);
          if (turn >= WARM) times[place]?.push(performance.now() - began);
        }
      rows.push({ route: body ? `${path} ${JSON.stringify(body)}` : path, times, pages: [] });
      console.error(path, ...times.map((ms) => middle(ms).toFixed(2)));
    }
    await Promise.all(services.map((service) => service.stop()));
    const caches = await Promise.all(
      urls.map(async (url, place) =>
        (await cacheOf(stage, url)).map((pages, kind) => pages - (before[place]?.[kind] ?? 0)),
      ),
    );
    for (const [at, [path, body]] of routesOf(one).entries())
      for (const url of urls) {
        const ask = (turn: number) => requestOf("http://localhost", path, asked[turn % asked.length], body);
        rows[at]?.pages.push(await pagesOf(stage, url, path, ask));
      }
    const bytes = await sizeOf(stage.root_database_url, LARGE);
    report({ few, many, memories, requests }, rows, caches, bytes / (many * memories));
  } finally {
    await stage.close();
  }
}

/** One org as it is used, which the others are copies of. Gives one of its memories. */
async function seedFirst(stage: Stage, url: string, memories: number): Promise<{ id: string; app_id: string }> {
  const headers = await stage.headers(orgOf(0), USER);
  const ask = async (method: string, path: string, body?: object) => {
    const response = await fetch(`${url}/api/v1${path}`, {
      method,
      headers,
      ...(body && { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${path} was answered ${response.status} ${await response.text()}`);
  };
  await ask("POST", "/memories", { content: "the first" });
  const amounts = { memories: memories - 1, entities: memories / 5 };
  await storeKnowledge(stage, { org: orgOf(0), sub: USER, spaces: [`user:${USER}`] }, amounts);
  const used = await stage.owner<{ id: string; app_id: string }[]>`
    select id, app_id from brain.memories order by cardinality(entities) desc, id limit ${USES}`;
  for (const [at, { id }] of used.entries()) {
    await ask("PATCH", `/memories/${id}`, { tags: { [`seen${at}`]: true } });
    await ask("GET", `/memories?size=20&page=${1 + (at % Math.floor(memories / 20))}`);
    await ask("POST", "/search/lexical", { query: `word${at} word7`, limit: 10 });
    await ask("POST", `/entities/entity-${at % amounts.entities}/relations`, {
      target: `Entity ${at + 1}`,
      type: "depends_on",
    });
    await ask("POST", "/graph/events", {
      name: `Release ${at}`,
      event_type: "release",
      start_date: "2026-01-01",
      entities: [`Entity ${at}`],
    });
  }
  const [one] = used;
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

/** What makes the loading of a server of its own faster and would lose it if the machine failed meanwhile. */
const LOADING = { fsync: "off", full_page_writes: "off", autovacuum: "off", max_wal_size: "'16 GB'" };

/** Some work on a server, quickly; then the server is as it was, and all that was made is on disk. */
async function loading(root_url: string, work: () => Promise<void>) {
  const root = postgres(root_url, { max: 1, onnotice: () => {} });
  try {
    // Names and values are the constant's own.
    for (const [name, value] of Object.entries(LOADING)) await root.unsafe(`alter system set ${name} = ${value}`);
    await root`select pg_reload_conf()`;
    await work();
    for (const name of Object.keys(LOADING)) await root.unsafe(`alter system reset ${name}`);
    await root`select pg_reload_conf()`;
    await root`checkpoint`;
  } finally {
    await root.end();
  }
}

/**
 * Makes as many orgs as wanted: copies of the first, row by row, without what triggers would make of them. Two tables at
 * a time, the largest first: one of them, the terms, is more than half of all. By index: the planner knows the tables
 * as they are with one org, and read all that had been copied again for each.
 */
async function copyOrgs(root_url: string, database: string, count: number) {
  const url = new URL(root_url);
  url.pathname = `/${database}`;
  const root = postgres(url.href, {
    max: 2,
    onnotice: () => {},
    connection: { session_replication_role: "replica", synchronous_commit: "off", enable_seqscan: "off" },
  });
  await root`vacuum analyze`; // what is dead in so small a share of the pages would be left there for good
  const tables = await root<{ name: string; columns: string }[]>`
    select relname as name, string_agg(quote_ident(attname), ', ' order by attnum) as columns
    from pg_class
    join pg_attribute on attrelid = pg_class.oid
    where relnamespace = 'brain'::regnamespace and relkind in ('r', 'p') and reltuples > 0
      and attnum > 0 and attgenerated = '' and not attisdropped
      and attname <> 'org_id' and (relname, attname) <> ('orgs', 'name')
    group by relname, reltuples
    order by reltuples desc`;
  const copies = tables.map(({ name, columns }) => ({
    name,
    copy:
      name === "orgs"
        ? `insert into brain.orgs (org_id, name, ${columns})
           select app.org_key($1), $1, ${columns} from brain.orgs where org_id = app.org_key($2)`
        : `insert into brain.${name} (org_id, ${columns}) overriding system value
           select app.org_key($1), ${columns} from brain.${name} where org_id = app.org_key($2)`,
  }));
  const copyAll = async () => {
    for (let next = copies.shift(); next; next = copies.shift()) {
      const { name, copy } = next;
      const began = performance.now();
      let rows = 0;
      for (let number = 1; number < count; number++)
        rows += (await root.unsafe(copy, [orgOf(number), orgOf(0)], { prepare: true })).count; // names of the catalog
      console.error(`${database}.${name}: ${rows} rows in ${((performance.now() - began) / 1000).toFixed(1)} s`);
    }
  };
  await Promise.all([copyAll(), copyAll()]);
  const began = performance.now();
  await root`vacuum analyze`;
  console.error(`vacuum ${((performance.now() - began) / 1000).toFixed(1)} s`);
  await root.end();
}

const requestOf = (url: string, path: string, headers: Record<string, string> | undefined, body?: object) =>
  new Request(`${url}/api/v1${path}`, {
    method: body ? "POST" : "GET",
    ...(headers && { headers }),
    ...(body && { body: JSON.stringify(body) }),
  });

async function answered(answer: Promise<Response>, path: string) {
  const response = await answer;
  const text = await response.text();
  if (!response.ok) throw new Error(`${path} was answered ${response.status} ${text}`);
}

/**
 * Pages that a request looks at, wherever they are: the difference of some requests and more of them, so that what a
 * connection reads as it begins is not in it. No service runs meanwhile: its own work would be counted too.
 */
async function pagesOf(stage: Stage, service_url: string, path: string, ask: (turn: number) => Request) {
  const settings = { ...SETTINGS, jwt_secret: stage.settings.jwt_secret, newest_migration: newestMigration() };
  const urls = { service_url, admin_url: asRoot(stage, service_url) };
  const looked = (requests: number) =>
    countedOf(
      { urls },
      async (sql) => sum(await pagesIn(sql)),
      async (database) => {
        const app = await createApp(settings, database, createLog("error"));
        for (let turn = 0; turn < requests; turn++) await answered(Promise.resolve(app.handle(ask(turn))), path);
      },
    );
  return ((await looked(WARM + COUNTED)) - (await looked(WARM))) / COUNTED;
}

/** Pages that were looked at in this database: found in shared buffers, and read into them. */
async function pagesIn(sql: postgres.Sql): Promise<number[]> {
  const [row] = await sql<{ hit: number; read: number }[]>`
    select blks_hit::float8 as hit, blks_read::float8 as read
    from pg_stat_get_snapshot_timestamp() as cleared, pg_stat_database
    where datname = current_database()`;
  return row ? [row.hit, row.read] : [];
}

async function cacheOf(stage: Stage, url: string): Promise<number[]> {
  const root = postgres(asRoot(stage, url), { max: 1, onnotice: () => {} });
  try {
    return await pagesIn(root);
  } finally {
    await root.end();
  }
}

const sum = (values: readonly number[]) => values.reduce((total, one) => total + one, 0);

/** The database of a URL, as the server's administrator. */
function asRoot({ root_database_url }: Stage, url: string): string {
  const root = new URL(root_database_url);
  root.pathname = new URL(url).pathname;
  return root.href;
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

interface Row {
  route: string;
  /** Of each database, in ms. */
  times: number[][];
  /** Of each database: pages a request. */
  pages: number[];
}

function report({ few, many, memories, requests }: Million, rows: Row[], caches: number[][], bytes_a_memory: number) {
  const told = rows.map(({ route, times, pages }) => {
    const [p50 = [], p95 = []] = [times.map(middle), times.map((ms) => quantile(ms, 0.95))];
    return { route, p50, p95, growth: growthOf(p50), pages, pages_growth: growthOf(pages) };
  });
  const misses = caches.map(([hit = 0, read = 0]) => ((100 * read) / (hit + read)).toFixed(1));
  const text = `\`bun run bench million\`: routes that page, one request after the other, ${requests} of each to a database with ${few} orgs and, taking turns, to one with ${many}; ${memories} memories in each org, all of one user, about ${memories / 5} entities; ${Math.min(ASKED, few)} orgs are asked about. At most ${MOST_GROWTH} times the p50 is wanted. Pages are those of 8 KB that PostgreSQL looks at for a request, counted apart from this, with nothing else in the database; they do not depend on what else the machine does. Of the pages looked at while the times were taken, ${misses.join(" and ")} % were not in shared buffers. A memory takes ${(bytes_a_memory / 1024).toFixed(1)} KB on disk with all that is derived from it.

${table(
  [
    "route",
    `${few} orgs: p50 ms`,
    "p95",
    `${many} orgs: p50 ms`,
    "p95",
    "growth",
    "",
    `pages, ${few} orgs`,
    `${many} orgs`,
    "growth",
  ],
  told.map(({ route, p50, p95, growth, pages, pages_growth }) => [
    `\`${route.replaceAll(UUID, "{id}")}\``,
    ...[p50[0], p95[0], p50[1], p95[1], growth].map((value) => value?.toFixed(2) ?? ""),
    growth <= MOST_GROWTH ? "met" : "**not met**",
    ...pages.map(Math.round),
    pages_growth.toFixed(2),
  ]),
)}`;
  if (process.env.WRITE) writeSection("A million memories", text);
  else console.log(text);
  console.log(JSON.stringify({ few, many, memories, bytes_a_memory, caches, routes: told }));
}

const growthOf = ([few = Number.NaN, many = Number.NaN]: readonly number[]) => many / few;
