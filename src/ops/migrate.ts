import { readFileSync } from "node:fs";
import { join } from "node:path";
import type postgres from "postgres";
import { messageOf, Refusal } from "../refusal.ts";
import { applyMigrations } from "./apply.ts";
import { catalogFaults } from "./catalog.ts";
import { committedMigrations, drifted, type Migration, uncommitted } from "./committed.ts";
import { driftOfCatalog, driftOfFiles } from "./drift.ts";
import { expectationsOf, surprises, untouched } from "./expectations.ts";
import { MIGRATIONS, newestMigration } from "./migration_files.ts";
import { underLock } from "./owner.ts";
import { beginRun, endRun, failRun, keepsRuns, newestApplied, recordedCatalog, within } from "./runs.ts";
import { type Snapshot, sayItOneWay, tableColumns, takeSnapshot } from "./snapshot.ts";

const ROLES_MISSING = `The role brain_app is missing, and a migration does not make roles. Either run
  brain migrate --create
with ROOT_DATABASE_URL set to an administrator's connection, or have one run, in this database,
${readFileSync(join(MIGRATIONS, "roles.sql"), "utf8")}
with the database's name for :DATABASE_NAME, and then: grant brain_app to <the role of DATABASE_URL>`;

/** A backup that was restored once. */
export interface ProvedBackup {
  readonly file: string;
  /** What the schema backed up was beside what its migrations make, as sentences. */
  readonly by_hand: readonly string[];
}

interface Options {
  /** Gives a backup that was proved restorable, before rows are put at risk; null: go without. */
  backUp?: (() => Promise<ProvedBackup>) | null;
  /** Takes the schema as it is, where it is not as the last run left it. */
  accept_drift?: boolean;
  /** Whether `sql/` must hold nothing that is not committed. Not for `up`, whose developer is perhaps at work on it. */
  is_strict?: boolean;
  /** How long it waits for a lock, each of three times. */
  patience_ms?: number;
  /** The migrations of this release, but in tests. */
  migrations?: readonly Migration[];
  /** One line for the person at the terminal, and one that is written over. */
  say?: (line: string) => void;
  progress?: (line: string) => void;
}

/** What a run came to. */
export interface MigrationReport {
  from: string | null;
  to: string | null;
  /** Files, in their order; none: there was nothing to do. */
  applied: string[];
  backup: string | null;
  before: Snapshot | null;
  after: Snapshot | null;
}

/**
 * Applies every committed migration the database lacks, as its owner, all of them in one transaction: they stay together
 * or none does. Waits for another runner. Throws a Refusal, before anything was changed, where the role is not the
 * owner's, the schema has drifted or is of a newer release, or the backup cannot be had; and one where a migration
 * fails, does to stored rows what it has not declared, or leaves a fault in the catalog: then all of it is taken back.
 */
export function migrateDatabase(owner_url: string, options: Options = {}): Promise<MigrationReport> {
  const { say = () => {} } = options;
  return underLock(owner_url, say, (session) => migrateUnderLock(session, options));
}

async function migrateUnderLock(session: postgres.ReservedSql, options: Options): Promise<MigrationReport> {
  const { backUp = null, migrations = committedMigrations() } = options;
  const from = await newestApplied(session);
  const pending = migrations.filter(({ filename }) => from === null || filename > from);
  await expectAsItWas(session, migrations, options);
  if (pending.length === 0 && (await recordedCatalog(session)) !== null && !options.accept_drift)
    return { from, to: from, applied: [], backup: null, before: null, after: null };

  const is_at_risk = pending.length > 0 && (await holdsRows(session));
  const expected = expectationsOf(pending); // a line that cannot be read is told before the backup
  const run = (await keepsRuns(session))
    ? await beginRun(session, { kind: "migrate", from, without_backup: is_at_risk && backUp === null })
    : null;
  try {
    const proved = is_at_risk && backUp ? await backUp() : null;
    const backup = proved?.file ?? null;
    // Where no run has left a record to compare with, what the migrations made of the backup is one.
    const is_known = options.accept_drift || (await recordedCatalog(session)) !== null;
    if (!is_known && proved && proved.by_hand.length > 0) throw drifted(proved.by_hand);
    if (run !== null && backup) await session`update ops.migration_runs set backup = ${backup} where id = ${run}`;
    const rows = await again(() =>
      within(session, async (tx) => {
        const snapshots = await changed(tx, pending, expected, options);
        const id =
          run ?? (await beginRun(tx, { kind: "migrate", from, backup, without_backup: is_at_risk && !backUp }));
        await endRun(tx, id, { to: await newestApplied(tx), ...snapshots });
        return snapshots;
      }),
    );
    const to = pending.at(-1)?.filename ?? from;
    return { from, to, applied: pending.map(({ file }) => file), backup, ...rows };
  } catch (error) {
    if (run !== null) await failRun(session, run, messageOf(error)).catch(() => {}); // the next run finds it interrupted
    throw error;
  }
}

/** The role brain_app is there, the schema is of no newer release, and nothing has drifted. Throws a Refusal. */
async function expectAsItWas(session: postgres.ReservedSql, migrations: readonly Migration[], options: Options) {
  const { accept_drift = false, is_strict = false } = options;
  const [role] = await session`select from pg_roles where rolname = 'brain_app'`;
  if (!role) throw new Refusal("roles_missing", ROLES_MISSING);
  await expectNoNewer(session, migrations);
  const faults = [
    ...(is_strict ? uncommitted(migrations) : []),
    ...(await driftOfFiles(session, migrations)),
    ...(accept_drift ? [] : await within(session, driftOfCatalog)),
  ];
  if (faults.length > 0) throw drifted(faults);
}

/** A newer release has been here: this one does not know what it did. Throws a Refusal. */
export async function expectNoNewer(sql: postgres.ISql, migrations: readonly Migration[]) {
  const applied = await newestApplied(sql);
  const known = migrations.at(-1)?.filename ?? newestMigration();
  if (applied !== null && applied > known)
    throw new Refusal(
      "newer_version",
      `The schema is at ${applied}, and this release knows ${known}. Use the newer release.`,
    );
}

/** Whether a tenant has stored anything that could be lost. */
export async function holdsRows(sql: postgres.ISql): Promise<boolean> {
  const tables = await sql<{ statement: string }[]>`
    select format('select exists (select from brain.%I) as it', relname) as statement
    from pg_class where relnamespace = to_regnamespace('brain') and relkind = 'r'`;
  for (const { statement } of tables) {
    const [row] = await sql.unsafe<{ it: boolean }[]>(statement);
    if (row?.it) return true;
  }
  return false;
}

/** The run itself, in its transaction: writers wait until it ends, readers until a migration locks what they read. */
async function changed(
  tx: postgres.ISql,
  pending: readonly Migration[],
  expected: ReturnType<typeof expectationsOf>,
  { progress = () => {}, patience_ms = PATIENCE_MS }: Options,
): Promise<{ before: Snapshot | null; after: Snapshot | null }> {
  if (pending.length === 0) return { before: null, after: null };
  await sayItOneWay(tx);
  await tx`select set_config('lock_timeout', ${`${patience_ms}ms`}, true)`;
  const columns = await tableColumns(tx, ["brain"]);
  const faults_before = columns.size > 0 ? await catalogFaults(tx) : [];
  if (columns.size > 0) await lock(tx, [...columns.keys()]);
  const kept = Object.fromEntries([...columns].map(([table, names]) => [table, untouched(names, expected.get(table))]));
  const told = (what: string) => (table: string, rows: number) => progress(`${what}: ${table}, ${rows} rows`);
  const before = columns.size > 0 ? await takeSnapshot(tx, { only: kept, progress: told("before") }) : null;

  await applyMigrations(tx, pending, (file) => progress(`runs ${file}`));
  await sayItOneWay(tx); // a migration may have set otherwise

  const after = before && (await takeSnapshot(tx, { only: kept, progress: told("after") }));
  const surprised = before && after ? surprises(before, after, expected) : [];
  if (surprised.length > 0)
    throw new Refusal(
      "undeclared_change",
      `What the migrations did to stored rows is not what they declare; all of it was taken back:\n${indented(surprised)}`,
    );
  const faults = (await catalogFaults(tx)).filter((fault) => !faults_before.includes(fault));
  if (faults.length > 0)
    throw new Refusal("lint_failed", `The schema would be at fault; all of it was taken back:\n${indented(faults)}`);
  return { before, after };
}

const indented = (lines: readonly string[]) => lines.map((line) => `  ${line}`).join("\n");

/** In the order in which a write of the service comes to its tables, so that the two do not wait for each other. */
async function lock(tx: postgres.ISql, tables: readonly string[]) {
  const ends = [...FIRST, LAST];
  const ordered = [...FIRST, ...tables.filter((table) => !ends.includes(table)), LAST];
  const there = ordered.filter((table) => tables.includes(table));
  await tx.unsafe(`lock table ${there.join(", ")} in share row exclusive mode`);
}

const FIRST = ["brain.idempotency_keys", "brain.memories", "brain.entities"];
const LAST = "brain.audit_events";

const TRIES = 5;
const PATIENCE_MS = 10_000;

/** Deadlock and a lock not had in time: somebody was reading. Nothing has stayed, so the whole may be tried again. */
async function again<T>(work: () => Promise<T>, tries = TRIES): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const cause = error instanceof Refusal ? error.cause : error;
    const code = (cause as { code?: string } | undefined)?.code;
    if (code !== "40P01" && code !== "55P03") throw error;
    if (tries > 1) return again(work, tries - 1);
    throw new Refusal(
      "database_busy",
      `Others hold what the migrations need (${messageOf(cause)}), and nothing was changed. Stop the service, or long readers, and try again.`,
      error,
    );
  }
}
