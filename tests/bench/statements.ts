import postgres from "postgres";
import type { Identity } from "../../src/auth/tokens.ts";
import { TYPES } from "../../src/db/pool.ts";
import { type Caller, openDatabase } from "../../src/db.ts";

/** A transaction as it was sent: how it begins, then its statements with their parameters. */
export interface Transaction {
  /** Null for statements that commit by themselves. */
  readonly mode: string | null;
  readonly statements: readonly { text: string; parameters: unknown[] }[];
}

/** The transaction that a work of the service sends; asked of the service's own code, so that a ceiling sends the same. */
export async function transactionOf(
  url: string,
  identity: Identity,
  work: (caller: Caller) => Promise<unknown>,
): Promise<Transaction> {
  const sent: { text: string; parameters: unknown[] }[] = [];
  const database = openDatabase(url, { sent: (text, parameters) => void sent.push({ text, parameters }) });
  try {
    await work(database.callerFor(identity, "rest", "bench"));
  } finally {
    await database.close();
  }
  // The driver asks for the types of arrays first, when it connects.
  const [begin, ...statements] = sent.slice(sent.findIndex(({ text }) => text.startsWith("begin")));
  if (!begin || statements.pop()?.text !== "commit")
    throw new Error(`not one transaction: ${sent.map(({ text }) => text.slice(0, 40)).join("; ")}`);
  return { mode: begin.text.slice("begin ".length), statements };
}

/** A bare pool and a bare loop: a statement is sent when the one before it is answered. */
export function openReplay(url: string, connections: number) {
  const pool = postgres(url, { max: connections, types: TYPES, onnotice: () => {} });
  const sent = (by: postgres.Sql | postgres.TransactionSql, { text, parameters }: Transaction["statements"][number]) =>
    by.unsafe(text, parameters as postgres.ParameterOrJSON<never>[], { prepare: true });
  const all = async (by: postgres.Sql | postgres.TransactionSql, { statements }: Transaction) => {
    const results: unknown[] = [];
    for (const statement of statements) results.push(await sent(by, statement));
    return results.slice(1); // the first one enters
  };
  return {
    /** Runs a transaction, and gives what each of its statements gave, but for the first. */
    run: (transaction: Transaction): Promise<unknown[]> =>
      transaction.mode === null ? all(pool, transaction) : pool.begin(transaction.mode, (tx) => all(tx, transaction)),
    close: () => pool.end(),
  };
}

export type Replay = ReturnType<typeof openReplay>;
