import postgres from "postgres";
import type { Tx } from "../db.ts";
import { connectionLost, Problem, unavailable } from "../problem.ts";
import { type Ears, hear } from "./hear.ts";

/** The connections to the database, and the one way to a transaction on them. Private to src/db.ts and what is in src/db/. */
export interface Pool {
  readonly begin: Begin;
  /**
   * Ends the statement that works in a transaction, if that one still runs on its connection. By a connection of its
   * own: that is wanted most where the pool is busy.
   */
  endStatement(running: Running): Promise<unknown>;
  /** Hears a channel on a connection of its own, which ends with the pool. */
  hear(channel: string, ears: Ears): Promise<void>;
  figures(): { transactions: number; connections_max: number };
  /** Waits up to a second for running queries, then closes every connection. */
  close(): Promise<void>;
}

/**
 * Runs the work in a transaction of that mode, for up to 17 seconds unless told otherwise, and gives what it gave.
 * `statements`: how many it sends, if that is known. Throws what the work and PostgreSQL throw, and UNAVAILABLE.
 */
export type Begin = <T>(
  mode: string,
  work: (tx: Tx) => Promise<T>,
  seconds?: number,
  statements?: number,
) => Promise<T>;

/** Where a transaction runs, and since when. */
export interface Running {
  pid: number;
  began: string;
}

/** How a pool differs from the usual one. */
export interface PoolOptions {
  max?: number;
  prepare?: boolean;
  listen_url?: string | undefined;
  /** Hears of every statement that is sent: the tests count them, the bench sends the same. */
  sent?: (statement: string, parameters: unknown[]) => void;
}

const POOL_SIZE = 10;
const CONNECT_TIMEOUT_SECONDS = 5;
/** A little over the statement's own limit (app.limit_time). */
const ANSWER_SECONDS = 17;
/** For health and the audit of refusals. */
export const BRIEF_SECONDS = 3;
export const READ_ONLY = "read only";

/**
 * RFC 3339 text from the database to the client: a JS Date would drop the microseconds. app.enter() sets UTC. It has all
 * six digits, where PostgreSQL leaves out zeros at the end: clients sort times as texts, and Z comes after any digit.
 */
export const TYPES = {
  timestamptz: {
    to: 1184,
    from: [1184],
    serialize: (instant: string) => instant,
    parse: (text: string) => {
      const [day, time] = [text.slice(0, 10), text.slice(11, -"+00".length)];
      return `${`${day}T${time}${time.includes(".") ? "" : "."}`.padEnd(26, "0")}Z`;
    },
  },
};

/** Connects at the first query; what the options are for, openDatabase says. */
export function openPool(url: string, options: PoolOptions = {}): Pool {
  const { max = POOL_SIZE, prepare = true, listen_url = url, sent } = options;
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
  let transactions = 0;

  const begin = async <T>(
    mode: string,
    work: (tx: Tx) => Promise<T>,
    seconds = ANSWER_SECONDS,
    statements?: number,
  ): Promise<T> => {
    transactions++;
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
      transactions--;
    }
  };

  return {
    begin,

    endStatement: ({ pid, began }) =>
      canceller.begin(
        (tx) => tx`
          select pg_cancel_backend(pid) from pg_stat_activity where pid = ${pid} and xact_start = ${began}::text::timestamptz`,
      ),

    hear(channel, ears) {
      const listener = postgres(listen_url, { ...connection, max: 1, connection: { application_name: ears.as } });
      others.push(listener);
      return hear(listener, channel, ears);
    },

    figures: () => ({ transactions, connections_max: max }),

    async close() {
      await Promise.all([sql, ...others].map((one) => one.end({ timeout: 1 })));
    },
  };
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
