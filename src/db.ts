import postgres from "postgres";
import type { Identity } from "./auth/tokens.ts";
import type { Embedder } from "./embeddings/provider.ts";
import { type Ears, hear } from "./hear.ts";
import { schemaHash, schemaObjects } from "./ops/schema_objects.ts";
import { clientGone, connectionLost, Problem, type ProblemCode, problemFrom, unavailable } from "./problem.ts";
import { type RecallKind, RecallQueue } from "./recalls/queue.ts";
import { roleFacts } from "./role.ts";

/** A transaction that a caller opened: what it can see and write is decided by the policies in sql/. */
export type Tx = postgres.TransactionSql<{ timestamptz: string }>;

/** One signed-in user, able to ask the database things as themselves and in no other way. */
export interface Caller extends Identity {
  /** The client this request came through: `rest`, `claude-code`, … */
  readonly app: string;
  /** Whether the database has let this token in, in this request. Until then a revoked one has not been noticed. */
  readonly has_entered: boolean;
  /** Where vectors come from; null where none do. */
  readonly embedder: Embedder | null;
  /** The same caller, through another app. */
  through(app: string): Caller;
  /** The same caller, whose reads end when the signal aborts. Writes run to their end: half of the answer is no answer. */
  until(signal: AbortSignal): Caller;
  /** Records in the org's audit that this caller was refused something. Throws what the database throws. */
  denied(what: string, code: ProblemCode): Promise<void>;
  /** Hands on what an answer to this caller has shown, to be written down a little later. */
  recalled(kind: RecallKind, memories: readonly { id: string }[]): void;
  /** Runs the work in a read only transaction. Like a write's it may run again, and must not act outside of it. */
  read<T>(work: (tx: Tx) => Promise<T>, options?: ReadOptions): Promise<T>;
  /** Runs the work in a read only transaction that sees one moment throughout, and for up to so many seconds. */
  snapshot<T>(seconds: number, work: (tx: Tx) => Promise<T>): Promise<T>;
  /**
   * Runs the work in a transaction; it commits when the work ends and leaves nothing behind when it throws.
   * The work runs again from its start after `NotProvisioned` or a deadlock, so it must not act outside the transaction.
   */
  write<T>(work: (tx: Tx) => Promise<T>, options?: WriteOptions): Promise<T>;
}

/** How a transaction differs from the usual one. */
export interface Manner {
  /**
   * The plans of its statements are made once on each connection, for whatever values come: right where one plan is the
   * best for all of them. To plan took ten times as long as to read a memory by its id.
   */
  plans?: "once";
}

/** How a transaction that reads differs from the usual one. */
export interface ReadOptions extends Manner {
  /** How many statements the work sends, where that is known before: the end of the transaction goes out with the last. */
  statements?: number;
}

/** How a transaction that writes differs from the usual one. */
export interface WriteOptions extends Manner {
  /** How long it may take in all, instead of 17. */
  seconds?: number;
  /** Spaces made in this very transaction where there are none, so that they go with it. Throws FORBIDDEN_ACCESS_ENTITY. */
  spaces?: readonly string[];
}

type AnyOptions = ReadOptions & WriteOptions;

/** The database as the service sees it: through callers, and a few questions that have none. */
export interface Database {
  /** The request id is what the audit names the request by. */
  callerFor(identity: Identity, app: string, request_id: string): Caller;
  /** Chains audit events that are not chained yet, at most so many; gives how many. Any number of processes may. */
  sealAudit(max_events: number): Promise<number>;
  /** Takes jobs that are due, at most so many; another worker gets them only where this one is gone for five minutes. */
  claimJobs(max_jobs: number): Promise<Job[]>;
  /** Makes the first embedding space of orgs that have none, some at a time; gives how many. */
  openEmbeddingSpaces(model: string, dimensions: number): Promise<number>;
  /** Puts a job off that failed, or to the dead ones after ten times. */
  failJob(job: Job, error: string): Promise<void>;
  /** Writes down recalls that wait, as many as one statement takes; gives how many. Throws what the database throws: they wait on, where it may work later. */
  writeRecalls(): Promise<number>;
  /** Takes away what has had its time, at most so many rows of a kind of an org; gives how many memories and recalls. */
  purge(max_rows: number): Promise<number>;
  figures(): Figures;
  /** The newest migration the database has by its file name, null while it has none; and what was last seen of drift. */
  schemaState(): Promise<{ migration: string | null; has_drifted: boolean }>;
  /** Looks whether the catalog is what the last migration run left there, and remembers it for schemaState. */
  lookForDrift(): Promise<boolean>;
  /** What is wrong with the role this connection got, as sentences; none: it may serve. And the database's encoding. */
  facts(): Promise<{ faults: string[]; encoding: string }>;
  /**
   * Hears what is sent on a channel by NOTIFY, on a connection of its own that is made again whenever it is lost.
   * Resolves when it listens for the first time, and ends with the database.
   */
  hear(channel: string, ears: Ears): Promise<void>;
  /** Waits up to a second for running queries (requests have been waited for before), then closes every connection. */
  close(): Promise<void>;
}

/** Work that somebody's write left for later. */
export interface Job {
  org: string;
  id: string;
  kind: "embed";
  /** Who wrote; and the one space the work is about. */
  sub: string;
  access_entity: string;
  payload: { embedding_space: number; memory_ids: string[] };
  attempts: number;
}

/** What is known of the pool and of the work that no caller asks for: since the start, times in seconds of 1970. */
export interface Figures {
  transactions: number;
  connections_max: number;
  sealed: number;
  sealed_at: number;
  recalls_waiting: number;
  recalls_written: number;
  recalls_dropped: number;
  purged: number;
  purged_at: number;
}

/** A transaction that was entered: where it runs, and since when. */
interface Entered {
  entered: boolean;
  pid: number;
  began: string;
}

/** Thrown inside a transaction that met a user, an app or a space the database has not seen; `Caller` makes them and starts over. */
export class NotProvisioned extends Error {
  override readonly name = "NotProvisioned";
  constructor(readonly access_entities: readonly string[] = []) {
    super("not provisioned");
  }
}

const POOL_SIZE = 10;
const CONNECT_TIMEOUT_SECONDS = 5;
/** A little over the statement's own limit (app.limit_time); less for health and the audit of refusals. */
const ANSWER_SECONDS = 17;
const BRIEF_SECONDS = 3;
const READ_ONLY = "read only";
const SNAPSHOT = "isolation level repeatable read, read only";
/** Deadlock and serialization failure: the same again may well go through. */
const WORTH_A_RETRY = /^40(P01|001)$/;

/** RFC 3339 text from the database to the client: a JS Date would drop the microseconds. app.enter() sets UTC. */
export const TYPES = {
  timestamptz: {
    to: 1184,
    from: [1184],
    serialize: (instant: string) => instant,
    parse: (text: string) => text.replace(" ", "T").replace(/\+00$/, "Z"),
  },
};

interface PoolOptions {
  max?: number;
  prepare?: boolean;
  listen_url?: string | undefined;
  readonly embedder?: Embedder | null;
  /** Hears of every statement that is sent: the tests count them, the bench sends the same. */
  sent?: (statement: string, parameters: unknown[]) => void;
}

/**
 * Opens a pool as the service's role. Connects at the first query. `prepare: false` for a pooler in transaction mode,
 * which hands the next transaction to another server connection; `listen_url` then leads past it.
 */
export function openDatabase(url: string, options: PoolOptions = {}): Database {
  const { max = POOL_SIZE, prepare = true, listen_url = url, embedder = null, sent } = options;
  const connection = {
    connect_timeout: CONNECT_TIMEOUT_SECONDS,
    // Seconds before the next try to connect. The driver's own grow to 20, and a database that is back would wait.
    backoff: (tries: number) => Math.min(0.02 * 2 ** tries, 0.5),
    onnotice: () => {},
  };
  // Every statement goes through sql.begin: a bare one may be pipelined into another caller's BEGIN (postgres.js 3.4.9).
  const sql = postgres(url, {
    ...connection,
    max,
    prepare,
    ...(sent && {
      debug: (_connection: number, statement: string, parameters: unknown[]) => sent(statement, parameters),
    }),
    types: TYPES,
  });

  const canceller = postgres(url, { ...connection, max: 1, prepare, idle_timeout: 10 });
  const others: postgres.Sql[] = [canceller];
  const recalls = new RecallQueue();
  const counted = { transactions: 0, sealed: 0, sealed_at: 0, recalls_written: 0, purged: 0, purged_at: 0 };

  const begin = async <T>(
    mode: string,
    work: (tx: Tx) => Promise<T>,
    seconds = ANSWER_SECONDS,
    statements?: number,
  ): Promise<T> => {
    counted.transactions++;
    const late = Promise.withResolvers<never>();
    // The server's own limits end what it works on; this one is for a server that no longer answers at all. The work is
    // given up, not ended: its connection stays taken until the server speaks again or closes it.
    const timer = setTimeout(
      () => late.reject(connectionLost(new Error(`no answer for ${seconds} s`))),
      seconds * 1000,
    );
    try {
      // postgres.js types the result as an unwrapped array of promises; it is what the work gave.
      return (await Promise.race([sql.begin(mode, work, statements), late.promise])) as T;
    } catch (error) {
      throw fromDriver(error);
    } finally {
      clearTimeout(timer);
      counted.transactions--;
    }
  };

  /**
   * Ends the statement that works in a transaction, if that one still runs on its connection. By a connection of its
   * own: that is wanted most where the pool is busy.
   */
  const endStatement = ({ pid, began }: Entered) =>
    canceller.begin(
      (tx) => tx`
        select pg_cancel_backend(pid) from pg_stat_activity where pid = ${pid} and xact_start = ${began}::text::timestamptz`,
    );

  let has_drifted = false;
  const askState = () => begin(READ_ONLY, stateOf, BRIEF_SECONDS);

  const callerFor = (identity: Identity, app: string, request_id: string): Caller => {
    const { org, sub, jti, grants } = identity;
    let has_entered = false;

    const through = (app: string, signal?: AbortSignal): Caller => {
      const within = <T>(mode: string, work: (tx: Tx) => Promise<T>, options: AnyOptions) => {
        const { seconds, spaces = [], plans, statements } = options;
        const ending = mode === "" ? undefined : signal;
        const entered = async (tx: Tx) => {
          if (ending?.aborted) throw clientGone();
          if (spaces.length > 0) await makeSpaces(tx, spaces);
          const entering = tx<Entered[]>`
            select app.enter(${org}, ${sub}, ${jti}, ${grants as string[]}, ${app}, ${request_id}) as entered,
                   pg_backend_pid() as pid, now()::text as began,
                   set_config('plan_cache_mode', ${plans ? "force_generic_plan" : "auto"}, true)`.then(([row]) => {
            if (!row?.entered) throw new NotProvisioned();
            has_entered = true;
            return row;
          });
          if (mode === SNAPSHOT) await entering; // it acts outside of the transaction
          // A statement that cannot be ended ends by its own limit.
          const end = () => void entering.then(endStatement).catch(() => {});
          ending?.addEventListener("abort", end, { once: true });
          // The work does not wait: its first statement goes out with app.enter, and reaches nothing where nobody entered.
          const [entry, done] = await Promise.allSettled([entering, (async () => work(tx))()]);
          ending?.removeEventListener("abort", end);
          if (entry.status === "rejected") throw entry.reason;
          if (done.status === "fulfilled") return done.value;
          throw ending?.aborted ? clientGone() : done.reason;
        };
        return begin(mode, entered, seconds, statements && 1 + statements); // app.enter is one
      };

      const makeSpaces = async (tx: Tx, access_entities: readonly string[]) => {
        await tx`select app.provision(${org}, ${sub}, ${grants as string[]}, ${access_entities as string[]}, ${app})`;
      };

      // A new user in a new space is met twice: first the user, then the space.
      const provisioned = async <T>(
        mode: string,
        work: (tx: Tx) => Promise<T>,
        options: AnyOptions = {},
        tries = 2,
      ): Promise<T> => {
        try {
          return await within(mode, work, options);
        } catch (error) {
          if (tries === 0) throw error;
          if (error instanceof NotProvisioned) await begin("", (tx) => makeSpaces(tx, error.access_entities));
          else if (!(error instanceof postgres.PostgresError && WORTH_A_RETRY.test(error.code))) throw error;
          return provisioned(mode, work, options, tries - 1);
        }
      };

      return {
        ...identity,
        app,
        embedder,
        get has_entered() {
          return has_entered;
        },
        through: (other) => through(other, signal),
        until: (ending) => through(app, ending),
        denied: (what, code) =>
          begin(
            "",
            async (tx) => {
              await tx`select app.audit_denied(${org}, ${sub}, ${app}, ${request_id}, ${what}, ${code})`;
            },
            BRIEF_SECONDS,
          ),
        recalled: (kind, memories) =>
          recalls.add({ org, sub, app, kind, at: new Date().toISOString(), memory_ids: memories.map(({ id }) => id) }),
        read: (work, options) => provisioned(READ_ONLY, work, options),
        snapshot: (seconds, work) => provisioned(SNAPSHOT, work, { seconds }),
        write: (work, options) => provisioned("", work, options),
      };
    };
    return through(app);
  };

  return {
    callerFor,

    schemaState: async () => ({ migration: (await askState()).migration, has_drifted }),

    async lookForDrift() {
      has_drifted = await begin(
        READ_ONLY,
        async (tx) => {
          const { catalog_hash, is_same_server } = await stateOf(tx);
          // Where no run is known, or another major version prints expressions otherwise, nothing can be told.
          return catalog_hash !== null && is_same_server && catalog_hash !== schemaHash(await schemaObjects(tx));
        },
        ANSWER_SECONDS,
      );
      return has_drifted;
    },

    sealAudit: (max_events) =>
      begin("", async (tx) => {
        const [row] = await tx<{ sealed: number }[]>`select app.seal_audit(${max_events}) as sealed`;
        counted.sealed += row?.sealed ?? 0;
        counted.sealed_at = Date.now() / 1000;
        return row?.sealed ?? 0;
      }),

    claimJobs: (max_jobs) =>
      begin(
        "",
        (tx) => tx<Job[]>`
        select org, id, kind, sub, access_entity, payload, attempts from app.claim_jobs(${max_jobs})`,
      ),

    openEmbeddingSpaces: (model, dimensions) =>
      begin("", async (tx) => {
        const [row] = await tx<{ opened: number }[]>`
          select app.open_embedding_spaces(${model}, ${dimensions}) as opened`;
        return row?.opened ?? 0;
      }),

    failJob: ({ org, id }, error) =>
      begin("", async (tx) => {
        await tx`select app.fail_job(${org}, ${id}, ${error})`;
      }),

    async writeRecalls() {
      const taken = recalls.take();
      if (taken.length === 0) return 0;
      try {
        await begin("", async (tx) => {
          await tx`select app.log_recalls(${JSON.stringify(taken)}::text::jsonb)`;
        });
      } catch (error) {
        if (problemFrom(error).code === "UNAVAILABLE") recalls.putBack(taken);
        else recalls.lose(taken); // the same again would fail again, and hold up what comes after
        throw error;
      }
      counted.recalls_written += taken.length;
      return taken.length;
    },

    purge: (max_rows) =>
      begin("", async (tx) => {
        const [row] = await tx<{ purged: number }[]>`select app.purge_expired(${max_rows}) as purged`;
        counted.purged += row?.purged ?? 0;
        counted.purged_at = Date.now() / 1000;
        return row?.purged ?? 0;
      }),

    figures: () => ({
      ...counted,
      connections_max: max,
      recalls_waiting: recalls.waiting,
      recalls_dropped: recalls.dropped,
    }),

    facts: () => begin(READ_ONLY, roleFacts),

    hear(channel, ears) {
      const listener = postgres(listen_url, { ...connection, max: 1, connection: { application_name: ears.as } });
      others.push(listener);
      return hear(listener, channel, ears);
    },

    async close() {
      await Promise.all([sql, ...others].map((one) => one.end({ timeout: 1 })));
    },
  };
}

/**
 * Before 000013 app.schema_state() gave the migration alone. As JSON, whose type is the same either way: a prepared
 * statement of another result fails once, when the schema goes forward or back under a service that runs.
 */
async function stateOf(tx: Tx) {
  const [row] = await tx<{ state: string | SchemaState | null; server_major: number }[]>`
    select to_jsonb(state) as state, current_setting('server_version_num')::int / 10000 as server_major
    from app.schema_state() as state`;
  const state = typeof row?.state === "string" ? { migration: row.state } : row?.state;
  return {
    migration: state?.migration ?? null,
    catalog_hash: state?.catalog_hash ?? null,
    is_same_server: state?.server_major !== undefined && state.server_major === row?.server_major,
  };
}

interface SchemaState {
  migration: string;
  catalog_hash?: string | null;
  server_major?: number | null;
}

/** The driver's and the socket's own errors; what PostgreSQL and the work throw goes on as it is. */
function fromDriver(error: unknown): unknown {
  if (
    !(error instanceof Error && "code" in error) ||
    error instanceof Problem ||
    error instanceof postgres.PostgresError
  )
    return error;
  if (/^(ECONNREFUSED|ENOTFOUND|EHOSTUNREACH|ENETUNREACH|CONNECT_TIMEOUT)$/.test(String(error.code)))
    return unavailable("The database cannot be reached just now; nothing was changed.", error);
  return connectionLost(error);
}
