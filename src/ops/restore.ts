import type postgres from "postgres";
import { Refusal } from "../refusal.ts";
import { installationOf } from "./backup.ts";
import type { BackupKey } from "./backup_key.ts";
import { type BackupManifest, migrationOf, rowsOf } from "./backup_manifest.ts";
import { expectKnownMigrations, type OpenBackup, openBackup } from "./backup_read.ts";
import { changedSince, type TableChange } from "./changes.ts";
import { committedMigrations } from "./committed.ts";
import {
  databaseOf,
  dropDatabase,
  dropLeftovers,
  expectMaker,
  inDatabase,
  makeDatabase,
  nameBeside,
  newMark,
  type Place,
  swapDatabases,
} from "./databases.ts";
import { loadBackup, type Restored } from "./load.ts";
import { holdsRows } from "./migrate.ts";
import { onConnection, underLock } from "./owner.ts";
import { recordCatalog } from "./runs.ts";

interface Options {
  /** Null: without the seal, by the manifest alone. */
  readonly key: BackupKey | null;
  readonly say?: (line: string) => void;
  readonly progress?: (line: string) => void;
}

/** What a backup is, and that it was restored once. */
export interface VerifiedBackup extends Restored {
  readonly manifest: BackupManifest;
}

/**
 * Restores a backup into a scratch database beside this one and holds what is there against the manifest; the scratch
 * database is removed. Throws a Refusal where the backup is not whole or what was restored is not what was backed up.
 * `is_locked`: whoever calls holds the lock of the database already.
 */
export function verifyBackup(
  place: Place,
  file: string,
  options: Options & { is_locked?: boolean },
): Promise<VerifiedBackup> {
  const work = async () => {
    await using backup = await openBackup(file, options.key);
    const migrations = committedMigrations();
    expectKnownMigrations(backup, migrations);
    await expectMaker(place, "Proving a backup");
    await dropLeftovers(place);
    const scratch = nameBeside(databaseOf(place.owner_url), "scratch", newMark());
    await makeDatabase(place, scratch);
    try {
      const restored = await loadBackup(inDatabase(place.owner_url, scratch), backup, { ...options, migrations });
      expectRestorable(backup, restored);
      return { manifest: backup.manifest, ...restored };
    } finally {
      await dropDatabase(place, scratch);
    }
  };
  return options.is_locked ? work() : underLock(place.owner_url, options.say ?? (() => {}), work);
}

/** What restoring came to. */
export interface RestoreReport {
  readonly database: string;
  readonly migration: string | null;
  readonly rows: number;
  readonly taken_at: string;
  /** Under which name the database that was there is kept; null where there was none with rows. */
  readonly kept_as: string | null;
  /** Of what was there, by table: how many rows have come, gone and changed since the backup. */
  readonly changed_since: readonly TableChange[];
  readonly by_hand: readonly string[];
}

/**
 * Restores a backup into a new database, verifies it there, and puts it in the place of the one `owner_url` names, which
 * is kept under another name. Throws a Refusal, and leaves what is there as it is, where the backup is not whole, does
 * not restore, is of another database, or tenants' rows are there and `replace` was not said.
 */
export function restoreBackup(
  place: Place,
  file: string,
  options: Options & { replace: boolean },
): Promise<RestoreReport> {
  const { replace, say = () => {}, progress = () => {} } = options;
  const database = databaseOf(place.owner_url);
  const restoring = nameBeside(database, "restoring", newMark());
  const prepared = underLock(place.owner_url, say, async (session) => {
    await using backup = await openBackup(file, options.key);
    const migrations = committedMigrations();
    expectKnownMigrations(backup, migrations);
    const has_rows = await holdsRows(session);
    if (has_rows) await expectSame(session, backup, replace);
    await expectMaker(place, "Restoring");
    await dropLeftovers(place);
    await makeDatabase(place, restoring);
    try {
      const url = inDatabase(place.owner_url, restoring);
      const restored = await loadBackup(url, backup, { ...options, migrations });
      expectRestorable(backup, restored);
      const changed_since = has_rows ? await changedSince(place.owner_url, url, progress) : [];
      if (has_rows && !replace) throw wouldOverwrite(database, backup, changed_since);
      await onConnection(url, async (session) => {
        await recordCatalog(session, "restore");
        await session.unsafe(`analyze ${Object.keys(backup.manifest.tables).join(", ")}`); // or its first plans are bad ones
      });
      const { manifest } = backup;
      const facts = { migration: migrationOf(manifest), rows: rowsOf(manifest), taken_at: manifest.taken_at };
      return { ...facts, has_rows, changed_since, by_hand: restored.by_hand };
    } catch (error) {
      await dropDatabase(place, restoring);
      throw error;
    }
  });
  return prepared.then(async ({ has_rows, ...report }) => {
    progress("takes its place");
    const kept_as = nameBeside(database, "before", newMark());
    try {
      await swapDatabases(place, { out: database, keep_as: kept_as, into: restoring });
    } catch (error) {
      await dropDatabase(place, restoring);
      throw error;
    }
    if (!has_rows) await dropDatabase(place, kept_as);
    return { database, kept_as: has_rows ? kept_as : null, ...report };
  });
}

/** Of another database it would be somebody else's rows. */
async function expectSame(session: postgres.ISql, { file, manifest }: OpenBackup, replace: boolean) {
  const here = await installationOf(session);
  if (manifest.installation === null || here === null || manifest.installation === here) return;
  throw new Refusal(
    "backup_refused",
    `The backup ${file} is of another database (${manifest.database}, ${manifest.installation}); this one is ${here}. Restore it into a database without rows${replace ? "; --replace does not change that" : ""}. Nothing was changed.`,
  );
}

function wouldOverwrite(database: string, { manifest }: OpenBackup, changed: readonly TableChange[]) {
  const lines = changed.map(
    ({ table, added, removed, changed }) => `  ${table}: ${added} added, ${removed} removed, ${changed} changed`,
  );
  return new Refusal(
    "would_overwrite",
    `The database ${database} holds rows, and this would take their place; nothing was changed. Since the backup was taken (${manifest.taken_at}):\n${lines.join("\n") || "  nothing has changed"}\nSay --replace to do it; the database is kept under another name.`,
  );
}

function expectRestorable({ file }: OpenBackup, { faults }: Restored) {
  if (faults.length > 0)
    throw new Refusal(
      "not_restorable",
      `The backup ${file} was restored into a scratch database and is not what was backed up:\n${faults.map((fault) => `  ${fault}`).join("\n")}`,
    );
}
