import type postgres from "postgres";
import type { Identity } from "./auth/tokens.ts";
import { backgroundWork } from "./db/background.ts";
import { callersOf } from "./db/caller.ts";
import type { Ears } from "./db/hear.ts";
import { openPool, type PoolOptions, READ_ONLY } from "./db/pool.ts";
import { roleFacts } from "./db/role.ts";
import { schemaStateOf } from "./db/schema_state.ts";
import type { Embedder } from "./embeddings/provider.ts";
import type { ProblemCode } from "./problem.ts";
import { type RecallKind, RecallQueue } from "./recalls/queue.ts";

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
interface Manner {
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

interface DatabaseOptions extends PoolOptions {
  readonly embedder?: Embedder | null;
}

/**
 * Opens a pool as the service's role. Connects at the first query. `prepare: false` for a pooler in transaction mode,
 * which hands the next transaction to another server connection; `listen_url` then leads past it.
 */
export function openDatabase(url: string, { embedder = null, ...options }: DatabaseOptions = {}): Database {
  const pool = openPool(url, options);
  const recalls = new RecallQueue();
  const { figures, ...work } = backgroundWork(pool.begin, recalls);
  return {
    callerFor: callersOf(pool, recalls, embedder),
    ...schemaStateOf(pool.begin),
    ...work,
    figures: () => ({ ...pool.figures(), ...figures() }),
    facts: () => pool.begin(READ_ONLY, roleFacts),
    hear: pool.hear,
    close: pool.close,
  };
}
