import type postgres from "postgres";

class Undo extends Error {}

/** Runs some work in a transaction and takes everything back; gives what the work gave, throws what it threw. */
export async function undone<T>(sql: postgres.Sql, work: (tx: postgres.Sql) => Promise<T>): Promise<T> {
  let result: T | undefined;
  await sql
    .begin(async (tx) => {
      result = await work(tx as unknown as postgres.Sql);
      throw new Undo();
    })
    .catch((error: unknown) => {
      if (!(error instanceof Undo)) throw error;
    });
  return result as T;
}
