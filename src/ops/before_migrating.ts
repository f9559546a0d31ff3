import { join } from "node:path";
import type postgres from "postgres";
import { Refusal } from "../refusal.ts";
import { installationOf, writeBackup } from "./backup.ts";
import { type BackupKey, backupKeyOf } from "./backup_key.ts";
import type { BackupManifest } from "./backup_manifest.ts";
import { openBackup } from "./backup_read.ts";
import { expectMaker, type Place } from "./databases.ts";
import type { ProvedBackup } from "./migrate.ts";
import { onConnection } from "./owner.ts";
import { verifyBackup } from "./restore.ts";
import { within } from "./runs.ts";
import { takeSnapshot } from "./snapshot.ts";

interface Options {
  readonly data_dir: string;
  /** A backup there is, to be used instead of a new one. */
  readonly file?: string | undefined;
  readonly say?: (line: string) => void;
  readonly progress?: (line: string) => void;
}

/** Where backups lie unless something else is said. */
export const backupFolder = (data_dir: string) => join(data_dir, "backups");

/**
 * Takes a backup, or looks at the one given, and restores it once into a scratch database. For
 * `migrateDatabase`, which holds the lock. Throws a Refusal where it cannot be made, is not whole, is of another
 * database, is stale, or does not restore.
 */
export function backupFor(place: Place, { data_dir, file, ...telling }: Options): () => Promise<ProvedBackup> {
  return async () => {
    const key = backupKeyOf(data_dir);
    if (file) await expectCurrent(place.owner_url, file, key);
    await expectMaker(place, "Proving the backup before the migration");
    const path = file ?? (await writeBackup(place.owner_url, { to: backupFolder(data_dir), key, ...telling })).file;
    const { by_hand } = await verifyBackup(place, path, { key, ...telling, is_locked: true });
    telling.say?.(`Backed up to ${path}, and restored from it once into a scratch database.`);
    return { file: path, by_hand };
  };
}

/** Throws a Refusal where a backup is of another database, or rows have come, gone or changed since. */
async function expectCurrent(owner_url: string, file: string, key: BackupKey) {
  await using backup = await openBackup(file, key);
  await onConnection(owner_url, (session) =>
    within(session, (tx) => compare(tx, file, backup.manifest), "isolation level repeatable read, read only"),
  );
}

async function compare(tx: postgres.ISql, file: string, { installation, database, taken_at, tables }: BackupManifest) {
  const here = await installationOf(tx);
  if (here !== installation)
    throw new Refusal(
      "backup_refused",
      `The backup ${file} is of another database (${database}, ${installation ?? "without an id"}). Nothing was changed.`,
    );
  const now = await takeSnapshot(tx);
  const names = Object.keys({ ...now.tables, ...tables }).filter((name) => name.startsWith("brain."));
  const changed = names.filter((name) => now.tables[name]?.checksum !== tables[name]?.checksum);
  if (changed.length > 0)
    throw new Refusal(
      "backup_refused",
      `The backup ${file} is stale: since ${taken_at} ${changed.join(", ")} changed. Stop the service and take another, or leave out --backup. Nothing was changed.`,
    );
}
