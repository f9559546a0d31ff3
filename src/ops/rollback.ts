import postgres from "postgres";
import { messageOf, Refusal } from "../refusal.ts";
import { committedMigrations, drifted } from "./committed.ts";
import { driftOfCatalog, driftOfFiles } from "./drift.ts";
import { expectNoNewer } from "./migrate.ts";
import { expectOwner, onConnection, underLock } from "./owner.ts";
import { type Loss, type Rollback, readRollback } from "./rollback_file.ts";
import { beginRun, endRun, failRun, keepsRuns, newestApplied, within } from "./runs.ts";

/** How many rows of a table go with a migration. */
export interface AtRisk extends Loss {
  readonly rows: number;
}

/** One of the ways back. */
interface Way {
  readonly applies: boolean;
  readonly says: string;
}

/** What can be done to get back, as things are at this moment. */
export interface RollbackPlan {
  /** The newest migration the database has, by its committed file; null where it has none. */
  readonly migration: string | null;
  readonly ways: Readonly<Record<"R0" | "R1" | "R2" | "R3", Way>>;
  readonly advised: "R0" | "R1" | "R2" | null;
  readonly at_risk: readonly AtRisk[];
  readonly rows_at_risk: number;
  /** What the migration did to rows of before, which a rollback leaves done. */
  readonly stays: readonly string[];
  /** Connections of the service that are open. */
  readonly connections: number;
  /** What the last migration wrote down as its backup; null where none is known. */
  readonly backup: string | null;
  /** The command of R2, as it has to be typed; null where it does not apply. */
  readonly command: string | null;
}

/** What was taken back. */
export interface RolledBack {
  readonly migration: string;
  readonly at_risk: readonly AtRisk[];
  readonly rows_lost: number;
}

/** Says which way back there is. As the owner of the database; only reads. Throws a Refusal where it does not answer. */
export function planRollback(owner_url: string): Promise<RollbackPlan> {
  return onConnection(owner_url, async (session) => {
    await expectOwner(session);
    return within(session, planned, "isolation level repeatable read, read only");
  });
}

async function planned(tx: postgres.ISql): Promise<RollbackPlan> {
  await expectNoNewer(tx, committedMigrations());
  const newest = await newestApplied(tx);
  const [{ count = 0 } = {}] = await tx<{ count: number }[]>`
    select count(*)::int from pg_stat_activity
    where datname = current_database() and pg_has_role(usesysid, 'brain_app', 'member') and usename <> current_user
      and not exists (select from pg_roles where pg_roles.oid = usesysid and rolsuper)`;
  const file = newest === null ? null : rollbackOf(newest);
  return planFrom(file, file ? await rowsAtRisk(tx, file) : [], { connections: count, backup: await lastBackup(tx) });
}

/**
 * Takes the newest migration back, if it is this one and exactly so many rows go with it, counted in the transaction
 * that takes them away while nobody else can write them. Waits for a migration or a rollback under way, and says so.
 * Throws a Refusal, and then nothing has changed.
 */
export function rollBack(
  owner_url: string,
  number: string,
  accepted: number,
  say: (line: string) => void = () => {},
): Promise<RolledBack> {
  return underLock(owner_url, say, async (session) => {
    await expectAsItWas(session, number);
    try {
      return await within(session, (tx) => takeBack(tx, rollbackOf(`${number}.sql`), accepted));
    } catch (error) {
      const refusal = refusalFrom(error);
      // A number that does not fit is no attempt; and written down it would be one more row that 000013 loses.
      const is_attempt = refusal instanceof Refusal && refusal.exit !== "loss_not_accepted";
      if (is_attempt && (await keepsRuns(session)))
        await failRun(session, await beginRun(session, { kind: "rollback", from: `${number}.sql` }), refusal.message);
      throw refusal;
    }
  });
}

/** The migration is the newest there is, and nothing has drifted. Throws a Refusal. */
async function expectAsItWas(session: postgres.ReservedSql, number: string) {
  const migrations = committedMigrations();
  await expectNoNewer(session, migrations);
  const newest = await newestApplied(session);
  if (newest !== `${number}.sql`)
    throw new Refusal("nothing_to_roll_back", `The newest migration is ${newest ?? "none"}, not ${number}.sql.`);
  const faults = [...(await driftOfFiles(session, migrations)), ...(await within(session, driftOfCatalog))];
  if (faults.length > 0) throw drifted(faults);
}

async function takeBack(tx: postgres.ISql, file: Rollback, accepted: number): Promise<RolledBack> {
  await tx`select set_config('statement_timeout', '0', true), set_config('lock_timeout', '5s', true)`;
  const tables = new Set(file.lost.map(({ table }) => table));
  if (tables.size > 0) await tx.unsafe(`lock table ${[...tables].join(", ")} in access exclusive mode`);
  const at_risk = await rowsAtRisk(tx, file);
  const rows_lost = total(at_risk);
  if (rows_lost !== accepted)
    throw new Refusal(
      "loss_not_accepted",
      `${rows_lost} rows would be lost, and ${accepted} were accepted: ${listOf(at_risk) || "none"}.`,
    );
  await tx.unsafe(file.sql).simple();
  const from = `${file.number}.sql`;
  await tx`delete from graphile_migrate.migrations where filename = ${from}`;
  if (await keepsRuns(tx))
    await endRun(tx, await beginRun(tx, { kind: "rollback", from }), { to: await newestApplied(tx) });
  return { migration: file.migration, at_risk, rows_lost };
}

/** Rows by table, for a sentence; empty where there are none. */
export function listOf(at_risk: readonly AtRisk[]): string {
  return at_risk
    .filter(({ rows }) => rows > 0)
    .map(({ table, condition, rows }) => `${rows} of ${table}${condition ? ` (${condition})` : ""}`)
    .join(", ");
}

function planFrom(
  file: Rollback | null,
  at_risk: AtRisk[],
  { connections, backup }: { connections: number; backup: string | null },
): RollbackPlan {
  const rows = total(at_risk);
  const missing = committedMigrations().filter((one) => !file || one.file > file.migration);
  const command = file && `brain rollback ${file.number} --accept-data-loss ${rows}`;
  const loss = listOf(at_risk) ? `${rows} rows are lost: ${listOf(at_risk)}` : "no rows are lost";
  const ways = {
    R0: {
      applies: missing.length > 0,
      says: missing[0]
        ? `${missing[0].file} is not in the database: if it has failed, nothing of it is left, and nothing is to be done.`
        : "Every migration of this release is in the database: none has failed.",
    },
    R1: {
      applies: file?.release_before === "runs",
      says: file
        ? `The release before ${file.migration}, on the schema there is: ${file.release_before}.`
        : "No migration is in the database.",
    },
    R2: {
      applies: file !== null,
      says: command ? `\`${command}\` takes ${file.migration} back; ${loss}.` : "No migration is in the database.",
    },
    R3: {
      applies: file !== null,
      says: `\`brain restore ${backup ?? "<backup>"}\`, of before the migration: what was written since is lost.${backup ? "" : " No backup is known to the database."}`,
    },
  };
  return {
    migration: file?.migration ?? null,
    ways,
    advised: advised(ways, rows),
    at_risk,
    rows_at_risk: rows,
    stays: file?.stays ?? [],
    connections,
    backup,
    command,
  };
}

/** What costs nothing before what costs something. Never R3: that what is stored is wrong a person has to see. */
function advised({ R0, R1, R2 }: RollbackPlan["ways"], rows: number): RollbackPlan["advised"] {
  if (R0.applies) return "R0";
  if (!R2.applies) return null;
  return rows > 0 && R1.applies ? "R1" : "R2";
}

const total = (at_risk: readonly AtRisk[]) => at_risk.reduce((sum, { rows }) => sum + rows, 0);

function rollbackOf(filename: string): Rollback {
  const file = readRollback(filename);
  if (!file) throw new Refusal("nothing_to_roll_back", `This release cannot take ${filename} back; restore a backup.`);
  return file;
}

/** The backup that the last migration took; null where none is known. */
async function lastBackup(tx: postgres.ISql): Promise<string | null> {
  if (!(await keepsRuns(tx))) return null;
  const [row] = await tx<{ backup: string | null }[]>`
    select backup from ops.migration_runs where kind = 'migrate' and result = 'done' order by id desc limit 1`;
  return row?.backup ?? null;
}

async function rowsAtRisk(sql: postgres.ISql, { lost }: Rollback): Promise<AtRisk[]> {
  const counted: AtRisk[] = [];
  for (const loss of lost) {
    // The condition stands in a file of this release, and a test has read each.
    const [row] = await sql.unsafe<{ rows: number }[]>(
      `select count(*)::float8 as rows from ${loss.table} where ${loss.condition ?? true}`,
    );
    counted.push({ ...loss, rows: row?.rows ?? 0 });
  }
  return counted;
}

const LOCK_TIMEOUT = "55P03";
const DEADLOCK = "40P01";

function refusalFrom(error: unknown): Error {
  if (error instanceof Refusal) return error;
  if (!(error instanceof postgres.PostgresError))
    return new Error(`Whether it was taken back, --plan says: ${messageOf(error)}`, { cause: error });
  if ([LOCK_TIMEOUT, DEADLOCK].includes(error.code))
    return new Refusal("database_busy", "Another transaction holds the tables; stop the service and try again.", error);
  const what = [error.message, error.detail].filter(Boolean).join(": ");
  return new Refusal("rollback_failed", `Nothing has changed: ${what.replace(/\.?$/, ".")}`, error);
}
