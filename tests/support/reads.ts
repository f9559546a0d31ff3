import postgres from "postgres";
import { openDatabase } from "../../src/db.ts";
import type { TestDatabase } from "./server.ts";

/**
 * What the server has counted of some work, by a count of its own statistics. A backend keeps what it has counted for a
 * second or ten, and reports it as it ends: everybody's is ended before the work begins, and the work's own after it.
 */
export async function countedOf(
  { urls }: { urls: Pick<TestDatabase, "admin_url" | "service_url"> },
  count: (sql: postgres.Sql) => Promise<number>,
  work: (database: ReturnType<typeof openDatabase>) => Promise<unknown>,
): Promise<number> {
  const sql = postgres(urls.admin_url, { max: 1, onnotice: () => {} });
  const endOthers = () => sql`
    select pg_terminate_backend(pid, 10000) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()`;
  try {
    await endOthers();
    const before = await count(sql);
    const database = openDatabase(urls.service_url, { max: 1 });
    await work(database);
    await database.close();
    await endOthers();
    return (await count(sql)) - before;
  } finally {
    await sql.end();
  }
}

/** Counts the rows of a table that have been read, by whatever way. */
export const rowsReadOf = (table: string) => async (sql: postgres.Sql) => {
  const [row] = await sql<{ read: number }[]>`
    select (seq_tup_read + coalesce(idx_tup_fetch, 0))::int as read
    from pg_stat_get_snapshot_timestamp() as cleared, pg_stat_user_tables
    where relid = ${table}::text::regclass`;
  if (!row) throw new Error(`there is no table ${table}`);
  return row.read;
};
