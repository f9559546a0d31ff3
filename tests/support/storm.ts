import postgres from "postgres";
import { createApp } from "../../src/app.ts";
import { tokenVerifier } from "../../src/auth/tokens.ts";
import { type Caller, type Database, openDatabase, type Tx } from "../../src/db.ts";
import { createLog } from "../../src/log.ts";
import { columnsFrom } from "../../src/memories/input.ts";
import { insertIn } from "../../src/memories/insert.ts";
import { newestMigration } from "../../src/ops/migration_files.ts";
import { problemFrom } from "../../src/problem.ts";
import { type Answer, SETTINGS, tokenFor } from "./world.ts";

/** What to storm, and how hard. */
export interface Weather {
  /** As the service; perhaps through a pooler. */
  service_url: string;
  /** Sees every row; straight at the server. */
  owner_url: string;
  /** May end backends; straight at the server. */
  admin_url: string;
  /** At least; longer, by 30 at most, while something it is to show has not happened once. */
  seconds: number;
  callers?: number;
  pool?: number;
  prepare?: boolean;
}

/** What happened, and under `faults` what must not have. */
export interface StormReport {
  requests: number;
  /** By status: of the HTTP answer, of the problem inside a tool's answer. */
  answers: Record<string, number>;
  slowest_ms: number;
  /** Requests whose client went away. */
  aborted: number;
  /** Works straight on the database, without HTTP; then those of them that ended as they were to. */
  works: number;
  identities: number;
  timeouts: number;
  thrown: number;
  pairs: number;
  /** Works that lost their connection. */
  lost: number;
  /** Backends ended. */
  terminated: number;
  rows_seen: number;
  rows_stored: number;
  foreign_rows: number;
  wrong_identities: number;
  half_written: number;
  misplaced_rows: number;
  /** Writes that were answered and are not there. */
  lost_writes: number;
  recovered_in_ms: number | null;
  faults: string[];
}

interface Someone {
  org: string;
  org_id: string;
  sub: string;
  /** The shared spaces the token opens. */
  grants: readonly string[];
  authorization: string;
  caller: Caller;
  /** A private row that nobody changes, and that only its owner sees. */
  seed: string;
  /** Own private rows that come and go. */
  own: Known[];
}

/** A row that may be there. */
interface Known {
  id: string;
  owner: string;
  space: string;
}

/** The names are the same in both orgs: of the users, of the space. */
const ORGS = ["acme", "umbrella"] as const;
const SHARED = "project:shared/web";

/** Each is to be answered at least once. */
const STATUSES = ["200", "201", "204", "404", "409", "503"];
/** A slow machine does little in a few seconds, and chance decides what. */
const LATEST_S = 30;

const SHARE_ABORTED = 0.1;
const ABORTED_WITHIN_MS = 400;
/** Longer than the service takes to give up (17 s), twice where a first sight is written: whoever waits longer is stuck. */
const STUCK_MS = 40_000;
const SLEEP_LIMIT = "30ms";
const CHAOS_MS = [100, 300] as const;
const ALL = 1000;
/** Long enough for a lost connection to be made anew, and another's, while the transaction it was lost to still runs. */
const PAUSE_MS = 150;
const RECOVERY_MS = 3000;
const RECOVERY_REQUESTS = 50;
const MAX_FAULTS = 40;

/** Thrown in the middle of a write. */
class Midway extends Error {}

/**
 * Callers of two orgs against the whole service over a small pool, while clients go away, statements run into their
 * limit, works throw and backends are ended at random; then looks whether the service is well again, and as the owner
 * at what was stored.
 */
export async function storm(weather: Weather): Promise<StormReport> {
  const { service_url, owner_url, admin_url, seconds, callers = 200, pool = 3, prepare = true } = weather;
  const role = new URL(service_url).username;
  const report = newReport();
  const causes = new Map<string, string>();
  const database = openDatabase(service_url, { max: pool, prepare });
  const log = createLog("error", (line) => {
    const { request_id, ...entry } = JSON.parse(line);
    if (entry.code === "INTERNAL" || entry.message === "mcp") causes.set(request_id, JSON.stringify(entry));
    // A connection on which nothing comes back, or a pool that makes none anew, and not one that was ended.
    if (/no answer for/.test(entry.cause)) fault(report, `given up: ${JSON.stringify(entry)}`);
  });
  const app = await createApp({ ...SETTINGS, newest_migration: newestMigration() }, database, log);
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => app.fetch(request),
    idleTimeout: 30,
    development: false,
    reusePort: false,
  });
  app.server = server;
  const owner = postgres(owner_url, { max: 1, onnotice: () => {} });
  const admin = postgres(admin_url, { max: 1, onnotice: () => {} });
  try {
    const people = await populate(owner, database.callerFor, callers);
    const clients = clientsOf(`http://127.0.0.1:${server.port}`, report, causes);
    const { seed, deeds, answered } = deedsOf(clients, report, people);
    await Promise.all(people.map(seed));

    const until = performance.now() + seconds * 1000;
    const isOver = () => {
      const over_ms = performance.now() - until;
      return over_ms >= 0 && (over_ms > LATEST_S * 1000 || missing(report).length === 0);
    };
    const live = async (me: Someone) => {
      while (!isOver()) await oneOf(deeds)(me);
    };
    const living = Promise.all(people.map(live));
    const endings = keepEnding(admin, role, report);
    await living.finally(endings.stop);
    report.terminated += await endBackends(admin, role, ALL);

    await recover(clients, people, report);
    await lookAtServer(admin, role, pool, report);
    await lookAtRows(owner, people, answered, report);
    return report;
  } finally {
    await server.stop(true);
    await Promise.all([database.close(), owner.end(), admin.end()]);
  }
}

/** What did not happen once: a storm without it would have shown nothing about it. */
export function missing({ answers, aborted, identities, timeouts, thrown, pairs, terminated, rows_seen }: StormReport) {
  const events = { ...answers, aborted, identities, timeouts, thrown, pairs, terminated, rows_seen };
  return [...STATUSES, ...Object.keys(events)].filter((name) => !(events as Record<string, number>)[name]);
}

const newReport = (): StormReport => ({
  requests: 0,
  answers: {},
  slowest_ms: 0,
  aborted: 0,
  works: 0,
  identities: 0,
  timeouts: 0,
  thrown: 0,
  pairs: 0,
  lost: 0,
  terminated: 0,
  rows_seen: 0,
  rows_stored: 0,
  foreign_rows: 0,
  wrong_identities: 0,
  half_written: 0,
  misplaced_rows: 0,
  lost_writes: 0,
  recovered_in_ms: null,
  faults: [],
});

/** A storm that goes wrong does so thousands of times; the first say why. */
function fault({ faults }: StormReport, text: string) {
  if (faults.length < MAX_FAULTS) faults.push(text.slice(0, 1000));
}

/** Half of the callers in each org, each with a twin in the other; every fourth of an org is without the shared space. */
async function populate(owner: postgres.Sql, callerFor: Database["callerFor"], count: number) {
  const identify = await tokenVerifier(SETTINGS);
  const org_ids = new Map<string, string>();
  for (const org of ORGS) {
    const [made] = await owner<{ id: string }[]>`select app.org_key(${org}) as id`;
    org_ids.set(org, made?.id ?? "");
  }
  return Promise.all(
    Array.from({ length: count }, async (_, index): Promise<Someone> => {
      const org = ORGS[index % 2 ? 1 : 0];
      const number = index >> 1;
      const person = { org, sub: `u${number}`, grants: number % 4 === 0 ? [] : [SHARED] };
      const authorization = `Bearer ${await tokenFor(person)}`;
      const caller = callerFor(await identify(authorization), "rest", "");
      return { ...person, org_id: org_ids.get(org) ?? "", authorization, caller, seed: "", own: [] };
    }),
  );
}

interface Manner {
  headers?: Record<string, string>;
  is_abortable?: boolean;
}

type Clients = ReturnType<typeof clientsOf>;

/** Ways to ask over HTTP. What is not among `expected`, and not a 503, is a fault; a 503 or an abort gives undefined. */
function clientsOf(url: string, report: StormReport, causes: Map<string, string>) {
  const tally = (what: string, status: number, body: Answer["body"], expected: readonly number[]) => {
    report.answers[status] = (report.answers[status] ?? 0) + 1;
    // Nothing here takes 15 s, or waits 5 s for a lock: whoever is told so has met another's limit.
    const is_given_up = status === 503 && !/took too long/.test(body.detail);
    if (!is_given_up && !expected.includes(status))
      fault(report, `${what}: ${status} ${JSON.stringify(body)} ${causes.get(body.request_id) ?? ""}`);
    return expected.includes(status);
  };

  const send = async (
    me: Someone,
    what: string,
    body: unknown,
    { headers = {}, is_abortable = true }: Manner = {},
  ): Promise<Pick<Answer, "status" | "body"> | undefined> => {
    const [method = "GET", path = "/"] = what.split(" ");
    const control = new AbortController();
    const is_doomed = is_abortable && Math.random() < SHARE_ABORTED;
    const timer = setTimeout(() => control.abort(), is_doomed ? Math.random() * ABORTED_WITHIN_MS : STUCK_MS);
    const started = performance.now();
    report.requests++;
    try {
      const response = await fetch(url + path, {
        method,
        headers: { authorization: me.authorization, "content-type": "application/json", ...headers },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: control.signal,
      });
      const text = await response.text();
      report.slowest_ms = Math.max(report.slowest_ms, Math.round(performance.now() - started));
      return { status: response.status, body: text && JSON.parse(text) };
    } catch (error) {
      if (is_doomed && control.signal.aborted) report.aborted++;
      else fault(report, `${what}: no answer after ${Math.round(performance.now() - started)} ms: ${error}`);
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  };

  return {
    /** REST. */
    async ask(me: Someone, what: string, expected: readonly number[], body?: unknown, manner?: Manner) {
      const answer = await send(me, what.replace(" ", " /api/v1"), body, manner);
      return answer && tally(`${what} as ${me.sub} of ${me.org}`, answer.status, answer.body, expected)
        ? answer
        : undefined;
    },
    /** A tool, over MCP: its structured answer. */
    async call(me: Someone, name: string, args: object, expected: readonly number[] = [200]) {
      const message = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name, arguments: args } };
      const answer = await send(me, "POST /mcp", message, { headers: { "user-agent": "claude-code/2.1" } });
      if (!answer) return undefined;
      const { result } = answer.body;
      const body = result?.isError ? JSON.parse(result.content[0].text) : (result ?? answer.body);
      const status = result?.isError || !result ? (body.status ?? 500) : answer.status;
      const is_fine = tally(`${name} as ${me.sub} of ${me.org}`, status, body, expected);
      return is_fine && status === 200 ? body.structuredContent : undefined;
    },
  };
}

/** Everything a caller may do; the same one several times where it is to be done more often. */
function deedsOf({ ask, call }: Clients, report: StormReport, people: readonly Someone[]) {
  const serial = () => crypto.randomUUID();
  /** Who may see a row is written in it. A row's space is part of it, so rows that move would be found too. */
  const marked = ({ org }: Someone, owner: string, space: string) => `storm ${org} ${owner} ${space} ${serial()}`;
  const ownSpace = ({ sub }: Someone) => `user:${sub}`;
  const someSpace = (me: Someone) => (me.grants.length > 0 && Math.random() < 0.5 ? SHARED : ownSpace(me));

  /** Rows of the shared space of each org. */
  const shared: Record<string, Known[]> = Object.fromEntries(ORGS.map((org) => [org, []]));
  const listFor = (me: Someone, space: string) => (space === SHARED ? (shared[me.org] ?? []) : me.own);
  /** Ids of rows whose storing was answered. */
  const answered: string[] = [];

  const known = (me: Someone) => oneOf([...me.own, ...(me.grants.length > 0 ? (shared[me.org] ?? []) : [])]);
  const strangers = (me: Someone) => people.filter((one) => one !== me);
  const foreignId = (me: Someone) => {
    const elsewhere = ORGS.filter((org) => org !== me.org || me.grants.length === 0);
    const row = oneOf(shared[oneOf(elsewhere)] ?? []);
    return row && Math.random() < 0.5 ? row.id : oneOf(strangers(me)).seed;
  };

  const look = (me: Someone, rows: { content: string; access_entity?: string; owner?: string }[]) => {
    for (const { content, access_entity, owner } of rows) {
      report.rows_seen++;
      const [word, org, marked_owner, space = ""] = content.split(" ");
      const is_visible = space === ownSpace(me) || me.grants.includes(space);
      const is_true = (access_entity ?? space) === space && (owner ?? marked_owner) === marked_owner;
      if (word === "storm" && org === me.org && is_visible && is_true) continue;
      report.foreign_rows++;
      fault(report, `${me.sub} of ${me.org} saw, of ${owner} in ${access_entity}: ${content}`);
    }
  };
  const isMe = (me: Someone, user: string, org: string, wanted_org = me.org) => {
    if (user === me.sub && org === wanted_org) return;
    report.wrong_identities++;
    fault(report, `${me.sub} of ${me.org} was taken for ${user} of ${org}`);
  };
  const keep = (me: Someone, id: string, space: string) => {
    answered.push(id);
    listFor(me, space).push({ id, owner: me.sub, space });
  };
  const forget = (me: Someone, { id, space }: Known) => {
    const list = listFor(me, space);
    const place = list.findIndex((row) => row.id === id);
    if (place >= 0) list.splice(place, 1);
  };

  const create = async (me: Someone) => {
    const space = someSpace(me);
    const content = marked(me, me.sub, space);
    const made = await ask(me, "POST /memories", [201], { content, access_entity: space });
    if (!made) return;
    look(me, [made.body]);
    keep(me, made.body.id, space);
  };

  const createPair = async (me: Someone) => {
    const thread = `pair ${serial()}`;
    const space = someSpace(me);
    const memories = [1, 2].map(() => ({ content: marked(me, me.sub, space), access_entity: space, thread }));
    const made = await ask(me, "POST /memories/batch", [201], { memories });
    if (!made) return;
    look(me, made.body.items);
    for (const { id } of made.body.items) keep(me, id, space);
  };

  const readOwn = async (me: Someone) => {
    const what = `GET /memories/${me.seed}`;
    if (Math.random() < 0.3) {
      const past = await ask(me, `${what}/history`, [200]);
      if (past) look(me, past.body.items);
      return;
    }
    const read = await ask(me, what, [200]); // it is always there: a 404 would be somebody else's view
    if (read) look(me, [read.body]);
  };

  const readSome = async (me: Someone) => {
    const row = known(me);
    const read = row && (await ask(me, `GET /memories/${row.id}`, [200, 404]));
    if (read?.status === 200) look(me, [read.body]);
  };

  const list = async (me: Someone) => {
    const query = oneOf(["", `&access_entity=${encodeURIComponent(SHARED)}`, "&search_query=storm", "&page=2"]);
    const page = await ask(me, `GET /memories?size=20${query}`, [200]);
    if (page) look(me, page.body.items);
  };

  const search = async (me: Someone) => {
    const found = await ask(me, "POST /search", [200], {
      query: oneOf(["storm", "acme", "umbrella", "u1"]),
      limit: 20,
    });
    if (found) look(me, found.body.results);
  };

  const update = async (me: Someone) => {
    const row = known(me);
    if (!row) return;
    const is_stale = Math.random() < 0.3;
    const content = marked(me, row.owner, row.space);
    const headers = { "if-match": is_stale ? '"999999"' : "*" };
    const changed = await ask(
      me,
      `PUT /memories/${row.id}`,
      is_stale ? [404, 409] : [200, 404],
      { content },
      { headers },
    );
    if (changed?.status === 200) look(me, [changed.body]);
  };

  const remove = async (me: Someone) => {
    const row = known(me);
    if (row && (await ask(me, `DELETE /memories/${row.id}`, [204, 404]))) forget(me, row);
  };

  const intrude = async (me: Someone) => {
    const path = `/memories/${foreignId(me)}`;
    const method = oneOf(["GET", "GET", "GET", "PUT", "DELETE"]);
    const content = marked(me, me.sub, ownSpace(me));
    await ask(me, `${method} ${path}`, [404], method === "PUT" ? { content } : undefined);
  };

  const whoAmI = async (me: Someone) => {
    const told = await ask(me, "GET /tokens/me", [200]);
    if (told) isMe(me, told.body.user, told.body.org);
  };

  const useTool = async (me: Someone) => {
    const tool = oneOf(["whoami", "list", "search", "get", "add", "intrude", "delete"]);
    if (tool === "whoami") {
      const told = await call(me, "whoami", {});
      if (told) isMe(me, told.user, told.org);
    } else if (tool === "list") look(me, (await call(me, "list_memories", { limit: 10 }))?.items ?? []);
    else if (tool === "search") look(me, (await call(me, "search_memory", { query: "storm" }))?.results ?? []);
    else if (tool === "get") {
      const row = await call(me, "get_memory", { memory_id: me.seed, history: true });
      if (row) look(me, [row]);
    } else if (tool === "add") {
      const space = someSpace(me);
      const made = await call(me, "add_memories", { text: marked(me, me.sub, space), access_entity: space });
      for (const { id } of made?.memories ?? []) keep(me, id, space);
    } else if (tool === "intrude") await call(me, "get_memory", { memory_id: foreignId(me) }, [404]);
    else {
      const gone = await call(me, "delete_memories", { memory_ids: [foreignId(me)] });
      if (gone && gone.deleted !== 0) fault(report, `${me.sub} of ${me.org} deleted a row that is not theirs to see`);
    }
  };

  const isTimeout = (error: unknown) => error instanceof postgres.PostgresError && error.code === "57014";
  const pauseMs = () => Math.random() ** 3 * PAUSE_MS; // mostly short, or little else would get a connection
  /** Straight on the pool. `wanted` says which error the work is to end with; none: it is to end well. */
  const work = async (what: string, doing: Promise<unknown>, wanted?: (error: unknown) => boolean) => {
    report.works++;
    try {
      await doing;
      if (wanted) fault(report, `${what}: ended well`);
      return !wanted;
    } catch (error) {
      if (wanted?.(error)) return true;
      if (problemFrom(error).status === 503 && !isTimeout(error)) report.lost++;
      else fault(report, `${what}: ${error instanceof Error ? (error.stack ?? error) : error}`);
      return false;
    }
  };
  const runIntoLimit = async (tx: Tx) => {
    await tx`select set_config('statement_timeout', ${SLEEP_LIMIT}, true)`;
    await tx`select pg_sleep(1)`;
  };
  const rowOf = (content: string, access_entity: string, thread: string) => ({
    ...columnsFrom({ content, thread }),
    access_entity,
  });

  /**
   * Asked twice in one transaction, with a pause for its connection to get lost in: what is asked after that must not
   * be answered, least of all from another's transaction.
   */
  const identity = async (me: Someone) => {
    const doing = me.caller.read(async (tx) => {
      const asked: string[] = [];
      for (const pause of [pauseMs(), 0]) {
        const [told] = await tx<Record<string, string>[]>`
          select app.current_sub() as sub, app.current_org_id()::text as org, pg_backend_pid() as pid,
                 current_setting('transaction_read_only') as is_read_only, current_setting('statement_timeout') as "limit"`;
        isMe(me, told?.sub ?? "", told?.org ?? "", me.org_id);
        look(me, await tx<{ content: string }[]>`select content from brain.memories order by id desc limit 5`);
        if (told?.is_read_only !== "on" || told.limit !== "15s") fault(report, `identity: ${JSON.stringify(told)}`);
        asked.push(JSON.stringify(told));
        await Bun.sleep(pause);
      }
      if (asked[0] !== asked[1]) fault(report, `identity: first ${asked[0]}, then ${asked[1]}`);
    });
    if (await work("identity", doing)) report.identities++;
  };

  const timeout = async (me: Someone) => {
    if (await work("timeout", me.caller.read(runIntoLimit), isTimeout)) report.timeouts++;
  };

  /** Nothing of it may remain: neither the new row nor the change of the old one. */
  const throwMidway = async (me: Someone) => {
    const by_limit = Math.random() < 0.3;
    const doing = me.caller.write(async (tx) => {
      const space = someSpace(me);
      await insertIn(tx, me.caller, [rowOf(marked(me, me.sub, space), space, "half")]);
      await tx`update brain.memories set category = 'glossary' where id = ${me.seed}`;
      await Bun.sleep(pauseMs());
      if (by_limit) await runIntoLimit(tx);
      throw new Midway();
    });
    const ended = await work("throw", doing, by_limit ? isTimeout : (error) => error instanceof Midway);
    if (ended) report[by_limit ? "timeouts" : "thrown"]++;
  };

  /** Two statements with a pause between them, for a backend to end in: the second is not to go to another's transaction. */
  const writePair = async (me: Someone) => {
    const thread = `pair ${serial()}`;
    const space = ownSpace(me);
    const doing = me.caller.write(async (tx) => {
      const [first] = await insertIn(tx, me.caller, [rowOf(marked(me, me.sub, space), space, thread)]);
      await Bun.sleep(pauseMs());
      const [second] = await insertIn(tx, me.caller, [rowOf(marked(me, me.sub, space), space, thread)]);
      return [first, second];
    });
    if (!(await work("pair", doing))) return;
    report.pairs++;
    const stored = (await doing).filter((row) => row !== undefined);
    look(me, stored);
    for (const { id } of stored) keep(me, id, space);
  };

  /** What each has before it begins: a private row, and one in the shared space. Nothing is ended yet. */
  const seed = async (me: Someone) => {
    for (const space of [ownSpace(me), ...me.grants]) {
      const body = { content: marked(me, me.sub, space), access_entity: space };
      const made = await ask(me, "POST /memories", [201], body, { is_abortable: false });
      if (!made) throw new Error(`${me.sub} of ${me.org} could not store a first memory`);
      answered.push(made.body.id);
      if (space === SHARED) listFor(me, space).push({ id: made.body.id, owner: me.sub, space });
      else me.seed = made.body.id;
    }
  };

  const often = <T>(times: number, deed: T) => Array.from({ length: times }, () => deed);
  const deeds = [
    ...often(6, create),
    ...often(2, createPair),
    ...often(4, readOwn),
    ...often(4, readSome),
    ...often(3, list),
    ...often(2, search),
    ...often(6, update),
    ...often(7, remove),
    ...often(4, intrude),
    ...often(3, whoAmI),
    ...often(6, useTool),
    ...often(4, identity),
    ...often(1, timeout),
    ...often(2, throwMidway),
    ...often(2, writePair),
  ];
  return { seed, deeds, answered };
}

/** Ends one of the service's backends now and then, sometimes all of them, until it is stopped. */
function keepEnding(admin: postgres.Sql, role: string, report: StormReport) {
  let is_over = false;
  const [least, most] = CHAOS_MS;
  const running = (async () => {
    while (!is_over) {
      await Bun.sleep(least + Math.random() * (most - least));
      report.terminated += await endBackends(admin, role, Math.random() < 0.1 ? ALL : 1);
    }
  })();
  return {
    stop() {
      is_over = true;
      return running;
    },
  };
}

/** Ends some of the service's backends, at random; gives how many. */
async function endBackends(admin: postgres.Sql, role: string, most: number): Promise<number> {
  const ended = await admin`
    select pg_terminate_backend(pid)
    from (
      select pid from pg_stat_activity
      where usename = ${role} and datname = current_database()
      order by random()
      limit ${most}
    ) as doomed`;
  return ended.length;
}

/** The last to happen was the end of every connection. From then on, requests in a row succeed, soon. */
async function recover({ ask }: Clients, people: readonly Someone[], report: StormReport) {
  const started = performance.now();
  for (let in_a_row = 0; in_a_row < RECOVERY_REQUESTS; ) {
    const me = oneOf(people);
    const what = oneOf([`GET /memories/${me.seed}`, "GET /memories?size=5", "GET /tokens/me"]);
    in_a_row = (await ask(me, what, [200], undefined, { is_abortable: false })) ? in_a_row + 1 : 0;
    if (performance.now() - started < RECOVERY_MS) continue;
    fault(report, `no ${RECOVERY_REQUESTS} good answers in a row within ${RECOVERY_MS} ms: ${in_a_row} at the end`);
    return;
  }
  report.recovered_in_ms = Math.round(performance.now() - started);
}

/** No transaction is left open by a client that went away, and no connection beside those of the pool. */
async function lookAtServer(admin: postgres.Sql, role: string, pool: number, report: StormReport) {
  const wrongBackends = () => admin<{ state: string; query: string; seconds: number }[]>`
    select state, query, extract(epoch from now() - state_change)::float as seconds
    from (
      select *, row_number() over (order by backend_start) as place
      from pg_stat_activity
      where usename = ${role} and datname = current_database()
    ) as backends
    where state <> 'idle' or place > ${pool}`;
  let wrong = await wrongBackends();
  // Requests whose clients went away last may still be at work.
  for (const deadline = Date.now() + RECOVERY_MS; wrong.length > 0 && Date.now() < deadline; ) {
    await Bun.sleep(20);
    wrong = await wrongBackends();
  }
  for (const backend of wrong) fault(report, `left on the server: ${JSON.stringify(backend)}`);
}

/** Every row lies where its mark says; what threw left nothing, what comes in pairs is there twice, what was answered is there. */
async function lookAtRows(
  owner: postgres.Sql,
  people: readonly Someone[],
  answered: readonly string[],
  report: StormReport,
) {
  // Without statistics the planner now and then joined row by row: 13 s for 1000 rows instead of 0.2 (PostgreSQL 18).
  await owner`analyze brain.orgs, brain.users, brain.spaces, brain.memories, brain.memory_revisions`;
  const misplaced = await owner<{ content: string }[]>`
    select memories.content || ' in ' || orgs.name || ' ' || users.sub || ' ' || access_entity as content
    from (
      select org_id, id, space_id, content from brain.memories
      union all
      select org_id, memory_id, space_id, content from brain.memory_revisions
    ) as memories
    join brain.memories as rows using (org_id, id)
    join brain.orgs using (org_id)
    join brain.users on users.org_id = rows.org_id and users.id = rows.owner_id
    join brain.spaces on spaces.org_id = rows.org_id and spaces.id = memories.space_id
    where not starts_with(memories.content, concat_ws(' ', 'storm', orgs.name, users.sub, access_entity) || ' ')`;
  report.misplaced_rows = misplaced.length;
  for (const { content } of misplaced) fault(report, `a row lies wrong: ${content}`);

  const halves = await owner<{ thread: string; count: number }[]>`
    select thread, count(*)::int from brain.memories where thread = 'half' group by thread
    union all
    select thread, count(*)::int from brain.memories where thread like 'pair %' group by thread having count(*) <> 2
    union all
    select 'changed in a write that threw', count(*)::int from brain.memories
    where id = any (${people.map(({ seed }) => seed)}::uuid[]) and (revision > 1 or category <> 'note' or state <> 'active')
    having count(*) > 0`;
  for (const { thread, count } of halves) {
    report.half_written += count;
    fault(report, `half written: ${count} × ${thread}`);
  }

  const stored = await owner<{ id: string }[]>`select id from brain.memories`;
  const there = new Set(stored.map(({ id }) => id));
  report.rows_stored = there.size;
  report.lost_writes = answered.filter((id) => !there.has(id)).length;
  if (report.lost_writes > 0) fault(report, `${report.lost_writes} writes were answered and are not there`);
}

/** One of them, at random; of none, undefined in spite of its type, as with an index. */
const oneOf = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T;
