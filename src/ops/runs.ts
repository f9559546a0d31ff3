import type postgres from "postgres";
import { VERSION } from "../version.ts";
import { type SchemaObjects, schemaHash, schemaObjects } from "./schema_objects.ts";
import type { Snapshot } from "./snapshot.ts";

/** A line of ops.migration_runs, before it has ended. */
export interface Run {
  readonly kind: "migrate" | "restore" | "rollback" | "develop";
  readonly from: string | null;
  readonly backup?: string | null;
  readonly without_backup?: boolean;
}

/** How a run ended well: where the schema is, and what the rows were before and after. */
interface Outcome {
  to: string | null;
  before?: Snapshot | null;
  after?: Snapshot | null;
}

/** Whether the database has the table: it came with 000013. */
export async function keepsRuns(sql: postgres.ISql): Promise<boolean> {
  const [row] = await sql<{ there: boolean }[]>`select to_regclass('ops.migration_runs') is not null as there`;
  return row?.there ?? false;
}

/** Writes down that a run begins, and that those before it that never ended were killed; gives its number. Under the lock. */
export async function beginRun(sql: postgres.ISql, run: Run): Promise<number> {
  await sql`
    update ops.migration_runs
    set result = 'interrupted', ended_at = now(), detail = 'it was killed, or lost its connection'
    where result = 'running'`;
  const { kind, from, backup = null, without_backup = false } = run;
  const [row] = await sql<{ id: number }[]>`
    insert into ops.migration_runs (kind, from_migration, backup, without_backup, release)
    values (${kind}, ${from}, ${backup}, ${without_backup}, ${VERSION})
    returning id`;
  return row?.id ?? 0;
}

/** Writes down that a run is done, with the catalog as it is now: what is found otherwise from then on has drifted. */
export async function endRun(tx: postgres.ISql, id: number, { to, before = null, after = null }: Outcome) {
  const objects = await schemaObjects(tx);
  await tx`
    update ops.migration_runs
    set result = 'done', ended_at = clock_timestamp(), to_migration = ${to},
        before = ${before && JSON.stringify(before)}::text::jsonb, after = ${after && JSON.stringify(after)}::text::jsonb,
        catalog = ${JSON.stringify(objects)}::text::jsonb, catalog_hash = ${schemaHash(objects)},
        server_major = current_setting('server_version_num')::int / 10000
    where id = ${id}`;
}

/** Writes down why a run did not end well. */
export async function failRun(sql: postgres.ISql, id: number, detail: string) {
  await sql`update ops.migration_runs set result = 'failed', ended_at = now(), detail = ${detail} where id = ${id}`;
}

/** Takes the catalog as it is for what it shall be, in one transaction; nothing where the database keeps no runs. */
export async function recordCatalog(sql: postgres.Sql | postgres.ReservedSql, kind: Run["kind"]): Promise<void> {
  await within(sql, async (tx) => {
    if (!(await keepsRuns(tx))) return;
    const at = await newestApplied(tx);
    await endRun(tx, await beginRun(tx, { kind, from: at }), { to: at });
  });
}

const ROLLBACK_MS = 1000;

/** A transaction on whatever connection: a reserved one has no `begin` of its own. */
export async function within<T>(
  sql: postgres.Sql | postgres.ReservedSql,
  work: (tx: postgres.ISql) => Promise<T>,
  mode = "",
): Promise<T> {
  await sql.unsafe(`begin ${mode}`);
  try {
    const result = await work(sql);
    await sql`commit`;
    return result;
  } catch (error) {
    // The connection may be what failed, or be held by a copy that broke off: the server takes it back when it is closed.
    await Promise.race([sql`rollback`.catch(() => {}), Bun.sleep(ROLLBACK_MS)]);
    throw error;
  }
}

/** The newest migration that was applied; null where none was. */
export async function newestApplied(sql: postgres.ISql): Promise<string | null> {
  const [known] = await sql<{ name: string | null }[]>`select to_regclass('graphile_migrate.migrations')::text as name`;
  if (!known?.name) return null;
  const [row] = await sql<{ newest: string | null }[]>`select max(filename) as newest from graphile_migrate.migrations`;
  return row?.newest ?? null;
}

/** The catalog as the last run left it; null where that ended at another migration, on another PostgreSQL, or is unknown. */
export async function recordedCatalog(sql: postgres.ISql): Promise<SchemaObjects | null> {
  if (!(await keepsRuns(sql))) return null;
  const [row] = await sql<{ to_migration: string; catalog: SchemaObjects; is_same_server: boolean }[]>`
    select to_migration, catalog, server_major = current_setting('server_version_num')::int / 10000 as is_same_server
    from ops.migration_runs where result = 'done' order by id desc limit 1`;
  return row?.is_same_server && row.to_migration === (await newestApplied(sql)) ? row.catalog : null;
}
