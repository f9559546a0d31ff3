import { filterFrom } from "../../src/memories/filter.ts";
import { listMemories } from "../../src/memories/list.ts";
import { getMemory } from "../../src/memories/service.ts";
import type { Contender } from "./interleaved.ts";
import { storeKnowledge } from "./knowledge.ts";
import type { HttpRequest } from "./load.ts";
import type { Served, Stage } from "./stage.ts";
import { type Transaction, transactionOf } from "./statements.ts";

export const ORG = "bench";
export const USER = "ada";
/** Users that ask at once beyond saturation, each for a memory of their own. */
export const CROWD = 64;
/** Memories of the caller, and how many of those are read by id. */
const MEMORIES = 1000;
const READ = 64;
const BATCH = 100;
const CONNECTIONS = 16;

/** What is stored again and again: some thirty words, two entities, two tags. */
const MEMORY = {
  content:
    "The billing gateway retries a failed capture three times with exponential backoff and then hands the order to the " +
    "reconciliation job, which compares the ledger with the bank's statement each night. {n}",
  category: "convention",
  entities: ["Billing Gateway", "Reconciliation Job"],
  tags: { env: "prod", team: "payments" },
};

/** Stores what the bench reads, and gives everything that is measured, by name. */
export async function casesOf(stage: Stage, service: Served) {
  const headers = await stage.headers(ORG, USER);
  const ids = await fill(stage, service.url, headers);
  const bare = await ceilings(stage, service.url, headers, ids);
  const own = await rowsOfCrowd(stage, service.url);

  /** The product's requests at a service, which may be another one on the same database. */
  const productAt = ({ url, usage }: Served): Record<string, Omit<Contender, "name">> => {
    const api = `${url}/api/v1/memories`;
    const get = ids.map((id) => ({ url: `${api}/${id}`, headers, holds: `"id":"${id}"` }));
    const post = (path: string, body: unknown, holds: string) => [
      { url: url + path, method: "POST", headers, body: JSON.stringify(body), holds },
    ];
    const call = (method: string, params: object) => ({ jsonrpc: "2.0", id: 1, method, params });
    const requests: Record<string, HttpRequest[]> = {
      "REST get": get,
      "REST list": [{ url: `${api}?size=20`, headers, holds: `"owner":"${USER}"` }],
      "REST create": post("/api/v1/memories", MEMORY, `"owner":"${USER}"`),
      "REST batch of 100": post("/api/v1/memories/batch", { memories: Array(BATCH).fill(MEMORY) }, `"owner":"${USER}"`),
      "MCP get_memory": ids.flatMap((id) =>
        post("/mcp", call("tools/call", { name: "get_memory", arguments: { memory_id: id } }), `"id":"${id}"`),
      ),
      "MCP tools/list": post("/mcp", call("tools/list", {}), '"get_memory"'),
      "openapi.json": [{ url: `${url}/openapi.json`, headers: {}, holds: "3.1.0" }],
      "REST get, a user each": own.map(({ id, sub, headers }) => ({
        url: `${api}/${id}`,
        headers,
        holds: `"owner":"${sub}"`,
      })),
    };
    return Object.fromEntries(
      Object.entries(requests).map(([name, sent]) => [
        name,
        { load: { kind: "http", requests: sent, callers: 1 }, usage },
      ]),
    );
  };
  return { ceilings: bare, productAt, ids, headers };
}

async function fill(stage: Stage, url: string, headers: Record<string, string>): Promise<string[]> {
  await store(url, headers, "the first");
  const amounts = { memories: MEMORIES, entities: MEMORIES / 5 };
  await storeKnowledge(stage, { org: ORG, sub: USER, spaces: [`user:${USER}`] }, amounts);
  await stage.owner`vacuum analyze`;
  const rows = await stage.owner<{ id: string }[]>`
    select id from brain.memories where owner = ${USER} and content <> 'the first' order by id limit ${READ}`;
  return rows.map(({ id }) => id);
}

async function store(url: string, headers: Record<string, string>, content: string): Promise<string> {
  const response = await fetch(`${url}/api/v1/memories`, {
    method: "POST",
    headers,
    body: JSON.stringify({ content }),
  });
  const answer = (await response.json()) as { id: string };
  if (response.status !== 201) throw new Error(JSON.stringify(answer));
  return answer.id;
}

const rowsOfCrowd = (stage: Stage, url: string) =>
  Promise.all(
    Array.from({ length: CROWD }, async (_, index) => {
      const sub = `user-${index}`;
      const headers = await stage.headers(ORG, sub);
      return { sub, headers, id: await store(url, headers, `of ${sub}`) };
    }),
  );

/** C1, C1h and C2 for reads, C3 for writes. */
async function ceilings(
  stage: Stage,
  url: string,
  headers: { authorization: string },
  ids: string[],
): Promise<Record<string, Omit<Contender, "name">>> {
  const { database_url, owner_database_url, owner } = stage;
  const identity = await stage.identity(headers);
  const gets: Transaction[] = [];
  for (const id of ids) gets.push(await transactionOf(database_url, identity, (caller) => getMemory(caller, id)));
  const lists = [await transactionOf(database_url, identity, (caller) => listMemories(caller, {}, filterFrom({}, [])))];
  const answer = async (path: string) => (await fetch(`${url}/api/v1/memories${path}`, { headers })).json();
  const bare = await stage.bare({
    connections: CONNECTIONS,
    transactions: { get: gets, list: lists },
    answers: { get: await answer(`/${ids[0]}`), list: await answer("?size=20") },
  });

  // The same row without anything that follows from it, its key the only index.
  await owner`
    create table public.bare_memories (like brain.memories including defaults including constraints including generated,
                                       primary key (org_id, id))`;
  const [row] = await owner<Record<string, string>[]>`
    select org_id, space_id, owner_id, owner, app_id, app from brain.memories where owner = ${USER} limit 1`;
  if (!row) throw new Error("nothing is stored");
  const { content, category, entities, tags } = MEMORY;
  const insert: Transaction = {
    mode: null,
    statements: [
      {
        text: `
          insert into public.bare_memories (org_id, id, space_id, owner_id, owner, updated_by, app_id, app, content, category, entities, tags)
          values ($1, gen_random_uuid(), $2, $3, $4, $4, $5, $6, $7 || gen_random_uuid(), $8, $9, $10::text::jsonb)`,
        parameters: [
          row.org_id,
          row.space_id,
          row.owner_id,
          row.owner,
          row.app_id,
          row.app,
          content,
          category,
          entities,
          JSON.stringify(tags),
        ],
      },
    ],
  };

  const sql = (transactions: Transaction[], url = database_url) =>
    ({ load: { kind: "sql", url, transactions, callers: 1 } }) as const;
  const http = (requests: HttpRequest[]) =>
    ({ load: { kind: "http", requests, callers: 1 }, usage: bare.usage }) as const;
  return {
    "C1 get": sql(gets),
    "C1 list": sql(lists),
    "C1h get": http(ids.map((id, at) => ({ url: `${bare.http}/get/${at}`, headers: {}, holds: id }))),
    "C1h list": http([{ url: `${bare.http}/list/0`, headers: {}, holds: `"owner":"${USER}"` }]),
    "C2 get": http([{ url: `${bare.elysia}/get`, headers, holds: `"owner":"${USER}"` }]),
    "C2 list": http([{ url: `${bare.elysia}/list`, headers, holds: `"owner":"${USER}"` }]),
    "C3 insert": sql([insert], owner_database_url),
  };
}
