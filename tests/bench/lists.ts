import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { SCOPES } from "../../src/auth/scopes.ts";
import { mintToken } from "../../src/auth/tokens.ts";
import { loadConfig } from "../../src/config.ts";
import { openEmbedded } from "../../src/embedded/database.ts";
import { createLog } from "../../src/log.ts";
import { startService } from "../../src/main.ts";
import { migrateDatabase } from "../../src/ops/migrate.ts";
import { temporaryFolder } from "../support/folder.ts";

/**
 * `bun tests/bench/lists.ts`: pages of 20 out of 100,000 memories, by every filter, with their capped totals, for eight
 * callers at once; and what a caller with 30 rows waits beside them. Writes its section of docs/benchmarks.md.
 */
const ROWS = Number(process.env.ROWS ?? 100_000);
const FEW = 30;
const AT_ONCE = 500;
const CALLERS = 8;
const REQUESTS = Number(process.env.REQUESTS ?? 160);
const PAGE = join(import.meta.dir, "../../docs/benchmarks.md");
const HEADING = "## Lists";

const folder = temporaryFolder();
const { server, database_url, owner_database_url } = await openEmbedded(folder.path);
await migrateDatabase(owner_database_url);
const config = loadConfig({ PORT: "0", RATE_LIMIT_RPM: "10000000", RATE_LIMIT_BURST: "10000000" });
const settings = { ...config, jwt_secret: server.secrets.jwt_secret };
const service = await startService(config, database_url, settings.jwt_secret, createLog("silent"));
const owner = postgres(owner_database_url, { max: 1, onnotice: () => {} });

/** Asks as a user; gives the milliseconds to the last byte. Throws an Error for a problem. */
async function asker(sub: string, grants: string[]) {
  const { token } = await mintToken(settings, { org: "acme", sub, grants, scopes: SCOPES, days: 1 });
  return async (path: string, body?: object) => {
    const started = performance.now();
    const response = await fetch(`${service.url}/api/v1${path}`, {
      method: body ? "POST" : "GET",
      headers: { authorization: `Bearer ${token}`, ...(body && { "content-type": "application/json" }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path} was answered ${response.status} ${text}`);
    return { ms: performance.now() - started, answer: JSON.parse(text) };
  };
}

const dense = await asker("dense", ["project:acme"]);
const sparse = await asker("sparse", []);
for (const access_entity of ["user:dense", "project:acme/web", "project:acme/api", "team:acme/web/core"])
  await dense("/memories", { content: `first in ${access_entity}`, access_entity });
await sparse("/memories", { content: "first" });

/** As many rows as wanted of a user in some spaces, spread over half a year, with every field that can be filtered by. */
async function seed(sub: string, spaces: string[], rows: number) {
  for (let from = 1; from <= rows; from += AT_ONCE)
    await seedPart(sub, spaces, from, Math.min(rows, from + AT_ONCE - 1));
}

const seedPart = (sub: string, spaces: string[], from: number, to: number) => owner`
  insert into brain.memories (org_id, id, space_id, owner_id, owner, updated_by, app_id, app, content, category,
                              artifact_type, artifact_ref, entities, tags, source, state, archived_at, created_at, updated_at)
  select users.org_id, gen_random_uuid(), spaces.id, users.id, sub, sub, apps.id, apps.name,
         'Memory ' || n || ' says that ' || repeat('service ' || n % 97 || ' talks to database ' || n % 13 || '. ', 4),
         (array['decision','convention','architecture','dependency','workflow','testing','security','performance','runbook'])[1 + n % 9],
         case when n % 4 = 0 then (array['repo','service','module','api'])[1 + n / 4 % 4] end,
         case when n % 4 = 0 then 'src/module_' || n % 2000 || '.ts' end,
         array['Service ' || n % 97, 'Entity ' || n % 5000],
         jsonb_build_object('env', (array['prod','test','dev'])[1 + n % 3], 'ticket', n % 5000),
         case when n % 50 = 0 then 'import' else 'user' end,
         case when n % 20 = 0 then 'archived' else 'active' end,
         case when n % 20 = 0 then now() end,
         now() - n * interval '150 seconds', now() - n * interval '150 seconds'
  from generate_series(${from}::int, ${to}::int) as n, brain.users
  join brain.apps on apps.org_id = users.org_id and apps.owner_id = users.id
  join brain.spaces on spaces.org_id = users.org_id
  where sub = ${sub} and users.org_id = app.org_key('acme')
    and access_entity = (${spaces}::text[])[1 + n % ${spaces.length}]`;
await seed("dense", ["user:dense", "project:acme/web", "project:acme/api", "team:acme/web/core"], ROWS);
await seed("sparse", ["user:sparse"], FEW - 1);
await owner`vacuum analyze`;

const [{ app_id } = { app_id: "" }] = (await dense("/memories?size=1")).answer.items as { app_id: string }[];
const [at, to] = [await dense("/memories?page=250"), await dense("/memories?page=251")].map(
  ({ answer }) => answer.items[0].created_at,
);
const QUERIES: Record<string, string> = {
  newest: "",
  "page 500": "page=500",
  "by cursor": `cursor=${(await dense("/memories")).answer.next_cursor}`,
  "one space": "access_entity=project:acme/web",
  "a kind of space": "scope=team",
  category: "category=decision",
  "a category nobody uses": "category=glossary",
  archived: "state=archived",
  "paused, of which there are none": "state=paused",
  show_archived: "show_archived=true",
  app: `app_id=${app_id}`,
  "an app nobody has": `app_id=${crypto.randomUUID()}`,
  "artifact type": "artifact_type=api",
  artifact: "artifact_ref=src/module_44.ts",
  "an artifact nobody names": "artifact_ref=src/nothing.ts",
  source: "source=import",
  "entity, frequent": "entity=service-7",
  "entity, rare": "entity=Entity 77",
  "entity, unknown": "entity=nothing",
  tag: "tag=env",
  "tag and value": "tag=env=prod",
  "tag and value, rare": "tag=ticket=77",
  "tag, unknown": "tag=nothing",
  "dates, recent": `from_date=${at}`,
  "dates, a stretch": `from_date=${to}&to_date=${at}`,
  "dates, long ago": "to_date=2020-01-01T00:00:00Z",
  "category and entity": "category=decision&entity=Entity 77",
  "category and tag": "category=decision&tag=env=prod",
  "order by content": "sort_column=content",
  "order by updated_at": "sort_column=updated_at",
};

const percentile = (sorted: number[], share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

/** p50 and p95 of a request, made so often by so many at once. */
async function measure(ask: Awaited<ReturnType<typeof asker>>, path: string, callers: number) {
  for (let times = 0; times < 3; times++) await ask(path);
  const taken: number[] = [];
  await Promise.all(
    Array.from({ length: callers }, async () => {
      for (let times = 0; times < REQUESTS / callers; times++) taken.push((await ask(path)).ms);
    }),
  );
  taken.sort((a, b) => a - b);
  return { p50: percentile(taken, 0.5), p95: percentile(taken, 0.95) };
}

const lines: string[] = [];
for (const [name, query] of Object.entries(QUERIES)) {
  const path = `/memories?size=20${query && `&${query.replaceAll(" ", "%20")}`}`;
  const { total, total_is } = (await dense(path)).answer;
  const many = await measure(dense, path, CALLERS);
  const few = await measure(sparse, path.replace(/page=\d+/, "page=1"), 1);
  const line = `| ${name} | ${total === null ? "" : `${total}${total_is === "at_least" ? "+" : ""}`} | ${many.p50.toFixed(1)} | ${many.p95.toFixed(1)} | ${few.p50.toFixed(1)} | ${few.p95.toFixed(1)} |`;
  console.log(line);
  lines.push(line);
}

const section = `${HEADING}

\`bun run bench:lists\`: ${ROWS} memories of one org in four spaces, all of which the caller sees; 20 a page with its capped total, through REST, ${CALLERS} callers at once, ${REQUESTS} requests each. Beside it a caller of the same org with ${FEW} rows, alone. Milliseconds, on two cores with service, database and callers on them.

| asked for | total | p50 | p95 | ${FEW} rows: p50 | p95 |
| --- | --- | --- | --- | --- | --- |
${lines.join("\n")}
`;
if (process.env.WRITE) {
  const page = existsSync(PAGE) ? readFileSync(PAGE, "utf8") : "# Benchmarks\n";
  const start = page.indexOf(HEADING);
  const end = start === -1 ? -1 : page.indexOf("\n## ", start + 1);
  const before = start === -1 ? `${page.trimEnd()}\n\n` : page.slice(0, start);
  writeFileSync(PAGE, before + section + (end === -1 ? "" : page.slice(end)));
}
await owner.end();
await service.stop();
await server.stop();
folder[Symbol.dispose]();
process.exit(0);
