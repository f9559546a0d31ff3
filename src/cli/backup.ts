import { type Command, InvalidArgumentError, Option } from "commander";
import { writeBackup } from "../ops/backup.ts";
import { type BackupKey, backupKeyFrom, backupKeyOf } from "../ops/backup_key.ts";
import { backupFolder } from "../ops/before_migrating.ts";
import { removeOlder } from "../ops/old_backups.ts";
import { underLock } from "../ops/owner.ts";
import { restoreBackup, verifyBackup } from "../ops/restore.ts";
import { withPlace } from "./owner.ts";
import { sizeOf } from "./progress.ts";
import { told } from "./told.ts";

interface BackupOptions {
  to?: string;
  prove?: true;
  keep?: number;
  json?: true;
}

/** Adds `brain backup` and `brain restore` to the program. */
export function addBackup(program: Command) {
  program
    .command("backup")
    .description("write everything the database holds into one sealed file, while the service goes on")
    .option("--to <place>", "a folder, or a file that ends in .zip (default: backups in the data directory)")
    .option("--prove", "restore it once into a scratch database, as `brain verify` does")
    .option("--keep <count>", "then remove all but the newest so many of this database from the folder", count)
    .option("--json", "print {file, bytes, migration, rows, taken_at, removed} as JSON")
    .addHelpText(
      "after",
      "\nUses OWNER_DATABASE_URL, or the embedded database. The key is backup.key of the data directory: keep a copy elsewhere.",
    )
    .action(backup);
  withKey(
    program
      .command("restore")
      .description("restore a backup into a new database, verify it, and put it in the place of the one there is")
      .argument("<file>", "what `brain backup` wrote")
      .option("--replace", "although tenants' rows are there; their database is kept under another name")
      .option("--json", "print what was done as JSON"),
  )
    .addHelpText(
      "after",
      "\nUses OWNER_DATABASE_URL and ROOT_DATABASE_URL, or the embedded database. Ends the service's connections at the end.",
    )
    .action(restore);
}

/** The options that say by which key a backup is read. */
export const withKey = (command: Command) =>
  command
    .addOption(new Option("--key <file>", "the backup.key it was sealed with, if not this data directory's"))
    .addOption(new Option("--without-key", "go by its manifest alone: the key is lost").conflicts("key"));

export interface KeyOptions {
  key?: string;
  withoutKey?: true;
}

export function keyOf({ key, withoutKey }: KeyOptions, data_dir: string): BackupKey | null {
  if (withoutKey) return null;
  return key ? backupKeyFrom(key) : backupKeyOf(data_dir);
}

async function backup({ to, prove, keep, json }: BackupOptions) {
  await told(json, (telling) =>
    withPlace(async (place, { data_dir }) => {
      const key = backupKeyOf(data_dir);
      const made = await underLock(place.owner_url, telling.say, async () => {
        const written = await writeBackup(place.owner_url, { to: to ?? backupFolder(data_dir), key, ...telling });
        if (prove) await verifyBackup(place, written.file, { key, ...telling, is_locked: true });
        return written;
      });
      const removed = keep === undefined ? [] : removeOlder(made.file, keep);
      if (json) return console.log(JSON.stringify({ ...made, removed }));
      console.log(`${made.file}: ${made.rows} rows of ${made.migration}, ${sizeOf(made.bytes)}.`);
      for (const file of removed) console.log(`Removed ${file}.`);
    }),
  );
}

async function restore(
  file: string,
  { replace = false, json, ...key }: { replace?: boolean; json?: true } & KeyOptions,
) {
  await told(json, (telling) =>
    withPlace(async (place, { data_dir }) => {
      const options = { key: keyOf(key, data_dir), replace, ...telling };
      const report = await restoreBackup(place, file, options);
      if (json) return console.log(JSON.stringify(report));
      console.log(`${report.database} holds the ${report.rows} rows of ${report.taken_at}, at ${report.migration}.`);
      for (const { table, added, removed, changed } of report.changed_since)
        console.log(`Left behind in ${table}: ${added} added since, ${removed} removed, ${changed} changed.`);
      for (const what of report.by_hand) console.log(`Done by hand there, and not restored: ${what}.`);
      if (report.kept_as)
        console.log(`What was there is kept as the database ${report.kept_as}; drop it when you need it no more.`);
    }),
  );
}

function count(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError("A whole number from 1.");
  return Number(text);
}
