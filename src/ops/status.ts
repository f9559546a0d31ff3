import { existsSync } from "node:fs";
import type postgres from "postgres";
import { backupFolder } from "./before_migrating.ts";
import { committedMigrations, type Migration, uncommitted } from "./committed.ts";
import { driftOfCatalog, driftOfFiles } from "./drift.ts";
import { backupsIn } from "./old_backups.ts";
import { expectOwner, onConnection } from "./owner.ts";
import { keepsRuns, newestApplied, within } from "./runs.ts";

/** A line of ops.migration_runs, as it is told. */
export interface ToldRun {
  kind: string;
  from: string | null;
  to: string | null;
  began_at: string;
  ended_at: string | null;
  result: string;
  detail: string | null;
  backup: string | null;
  without_backup: boolean;
  by: string;
}

export interface Status {
  database: string;
  server_version: string;
  state: "up to date" | "behind" | "ahead" | "drifted";
  migration: string | null;
  newest: string | null;
  /** Files that `brain migrate` would run. */
  pending: string[];
  /** What is not as it was committed, applied or recorded, as sentences. */
  drift: string[];
  last_run: ToldRun | null;
  /** The newest in the data directory. */
  last_backup: string | null;
}

/** What the schema of a database is to this release. As the owner; changes nothing and waits for nobody. */
export function statusOf(owner_url: string, data_dir: string, migrations?: readonly Migration[]): Promise<Status> {
  const committed = migrations ?? committedMigrations();
  return onConnection(owner_url, async (session) => {
    await expectOwner(session);
    return within(session, (tx) => look(tx, committed, data_dir), "isolation level repeatable read, read only");
  });
}

async function look(tx: postgres.ISql, committed: readonly Migration[], data_dir: string): Promise<Status> {
  const [facts] = await tx<{ database: string; server_version: string }[]>`
    select current_database() as database, current_setting('server_version') as server_version`;
  if (!facts) throw new Error("the database tells nothing of itself");
  const migration = await newestApplied(tx);
  const newest = committed.at(-1)?.filename ?? null;
  const is_ahead = migration !== null && newest !== null && migration > newest;
  const pending = committed
    .filter(({ filename }) => migration === null || filename > migration)
    .map(({ file }) => file);
  // What a newer release did this one cannot judge.
  const drift = is_ahead
    ? []
    : [...uncommitted(committed), ...(await driftOfFiles(tx, committed)), ...(await driftOfCatalog(tx))];
  const behind = pending.length > 0 ? "behind" : "up to date";
  const folder = backupFolder(data_dir);
  const name = facts.database.replaceAll(/[^\w-]/g, "_");
  return {
    ...facts,
    state: is_ahead ? "ahead" : drift.length > 0 ? "drifted" : behind,
    migration,
    newest,
    pending,
    drift,
    last_run: await lastRun(tx),
    last_backup: (existsSync(folder) && backupsIn(folder, name)[0]) || null,
  };
}

async function lastRun(tx: postgres.ISql): Promise<ToldRun | null> {
  if (!(await keepsRuns(tx))) return null;
  const [run] = await tx<ToldRun[]>`
    select kind, from_migration as from, to_migration as to, began_at::text, ended_at::text, result, detail, backup,
           without_backup, done_by as by
    from ops.migration_runs order by id desc limit 1`;
  return run ?? null;
}
