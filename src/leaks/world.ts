import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { type AppSettings, createApp } from "../app.ts";
import { SCOPES } from "../auth/scopes.ts";
import { mintToken } from "../auth/tokens.ts";
import { openDatabase } from "../db.ts";
import { trustedProxies } from "../http/client_address.ts";
import { createLog } from "../log.ts";
import { newestMigration } from "../ops/migration_files.ts";
import { formOf, unpacked } from "./archives.ts";
import { castOf, type Depth, mayView, NOBODY, nameOf, type Person } from "./cast.ts";
import { keysIn, openHaystack, type Viewer } from "./needles.ts";
import { METRICS_TOKEN } from "./probes.ts";
import type { Notes } from "./report.ts";

/** One request, without its token. */
export interface Ask {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Lines of an archive, sent instead of a body as a form with that archive. */
  readonly archive?: readonly object[];
}

/** What came back, to the last byte; of an event stream its first event. */
export interface Answer {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly text: string;
}

/** How one asks beside what one asks. */
export interface AskOptions {
  /** For a finding: which probe this is. */
  readonly probe?: string;
  /** Instead of every scope there is. */
  readonly scopes?: readonly string[];
  /** It may store what it says as the caller's own: later answers may say it to this caller again. */
  readonly may_store?: boolean;
  /** It shows what was done in the org: colleagues' ids and names belong there, what they say does not. */
  readonly is_of_org?: boolean;
}

/** The databases the application is opened on. */
export interface Urls {
  readonly service_url: string;
  readonly owner_url: string;
}

/** Stands between the application and what is asked of it: tests make it leak there. */
export type Tamper = (request: Request, response: Response) => Promise<Response>;

export type World = Awaited<ReturnType<typeof openWorld>>;

/** Few, so that callers take turns on the same connections. */
const POOL_SIZE = 3;

/** Those who play in a check, what must not reach whom, and what each has said, which may be said to them again. */
export function openCast(depth: Depth) {
  const haystack = openHaystack();
  return { depth, haystack, people: castOf(haystack, depth), said: new Map<Person, Set<string>>() };
}

export type Cast = ReturnType<typeof openCast>;

/** The same once more: what comes to the one does not come to the other. */
export const copyOf = ({ haystack, said, ...cast }: Cast): Cast => ({
  ...cast,
  haystack: haystack.copy(),
  said: new Map([...said].map(([person, keys]) => [person, new Set(keys)])),
});

/** The application in this process on a database, and a cast that has stored what lies there. */
export async function openWorld(urls: Urls, notes: Notes, cast: Cast, tamper?: Tamper, signal?: AbortSignal) {
  const database = openDatabase(urls.service_url, { max: POOL_SIZE });
  const data_dir = await mkdtemp(join(tmpdir(), "brain-leak-check-"));
  const settings = { ...SETTINGS, data_dir, jwt_secret: crypto.randomUUID() + crypto.randomUUID() };
  const app = await createApp(
    { ...settings, newest_migration: newestMigration() },
    database,
    createLog("silent", () => {}),
  );
  const owner = postgres(urls.owner_url, { max: 2, onnotice: () => {} });
  const { depth, haystack, people, said } = cast;
  const tokens = new Map<string, string>();

  /** A token of a person, with every scope or those given. */
  async function tokenOf({ org, sub, grants }: Person, scopes: readonly string[] = SCOPES): Promise<string> {
    const name = JSON.stringify([org, sub, scopes]);
    const known = tokens.get(name) ?? (await mintToken(settings, { org, sub, grants, scopes, days: 1 })).token;
    tokens.set(name, known);
    return known;
  }

  /** The bare answer of the application. */
  async function handle(
    caller: Person,
    { method, path, headers, body, archive }: Ask,
    scopes?: readonly string[],
  ): Promise<Response> {
    signal?.throwIfAborted();
    const request = new Request(`http://localhost${path}`, {
      method,
      headers: {
        ...(caller !== NOBODY && { authorization: `Bearer ${await tokenOf(caller, scopes)}` }),
        ...(body !== undefined && { "content-type": "application/json" }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(archive && { body: await formOf(archive) }),
    });
    const response = await app.handle(request);
    return tamper ? tamper(request, response) : response;
  }

  /** Asks as somebody and holds every byte of the answer against what they may see. */
  async function ask(caller: Person, asked: Ask, options: AskOptions = {}): Promise<Answer> {
    const response = await handle(caller, asked, options.scopes);
    const answer = { status: response.status, headers: [...response.headers], text: await textOf(response) };
    notes.count(answer.text.length);
    scan(caller, asked, answer, options);
    return answer;
  }

  /** Finds what must not be in an answer. What the request itself said, or the caller's token, may be said back. */
  function scan(
    caller: Person,
    asked: Ask,
    { headers, text }: Pick<Answer, "headers" | "text">,
    { probe = `${asked.method} ${asked.path}`, may_store = false, is_of_org = false }: AskOptions = {},
  ) {
    const own = said.get(caller) ?? keysIn(JSON.stringify(caller));
    said.set(caller, own);
    const repeated = keysIn(JSON.stringify([asked.path, asked.headers, asked.body, asked.archive]));
    if (may_store) for (const key of repeated) if (haystack.isCanary(key)) own.add(key);
    const parts = { body: text, headers: headers.map((header) => header.join(": ")).join("\n") };
    for (const [part, content] of Object.entries(parts))
      for (const { key, what, viewers } of haystack.foundIn(content))
        if (
          !mayView(caller, viewers) &&
          !own.has(key) &&
          !repeated.has(key) &&
          !(is_of_org && isOfOrg(caller, what, viewers))
        )
          notes.find(`${probe} as ${nameOf(caller)}: the ${part} holds ${what}, ${key}, which is not theirs to see.`);
  }

  return {
    haystack,
    people,
    depth,
    notes,
    /** Sees every row of every org. */
    owner,
    urls,
    /** The routes the application has. */
    registered: app.registered.map(({ method, path }) => `${method} ${path}`),
    handle,
    ask,
    scan,
    async close() {
      await app.drainStreams(1);
      await database.close();
      await owner.end();
      await rm(data_dir, { recursive: true });
    },
  };
}

/** What the audit tells of colleagues: their ids and names. Words of theirs are none of it. */
const NAMES = /\.id$|_id$|\.sub$|^brain\.(spaces|apps|audit_events)\./;

const isOfOrg = ({ org }: Person, what: string, viewers: readonly Viewer[]) =>
  NAMES.test(what) && viewers.some((viewer) => viewer.org === org);

/** The text of an answer; of an archive what is in it. An event stream is read to the end of its first event, and left. */
export async function textOf(response: Response): Promise<string> {
  if (response.headers.get("content-type") === "application/zip") return unpacked(await response.arrayBuffer());
  if (!response.headers.get("content-type")?.startsWith("text/event-stream")) return response.text();
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (reader && !text.includes("\n\n")) {
    const { done, value = "" } = await reader.read();
    if (done) break;
    text += value;
  }
  await reader?.cancel();
  return text;
}

const SETTINGS: Omit<AppSettings, "newest_migration" | "jwt_secret" | "data_dir"> = {
  host: "127.0.0.1",
  cors_allowed_origins: [],
  trusted_proxies: trustedProxies(),
  rate_limit_rpm: 1_000_000_000,
  rate_limit_burst: 1_000_000_000,
  jwt_previous_secrets: [],
  jwt_public_keys: [],
  jwt_issuer: "https://codingbrain.local",
  jwt_audience: "https://api.codingbrain.local",
  jwt_max_lifetime_seconds: 31_536_000,
  metrics_token: METRICS_TOKEN,
  mcp_session_idle_seconds: 1800,
  mcp_heartbeat_seconds: 60,
};
