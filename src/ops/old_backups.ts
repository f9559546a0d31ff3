import { readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** As `brain backup` names them in a folder: database, migration, time. */
const NAME = /^(.+)-\d{6}-(\d{8}T\d{9}Z)\.zip$/;

/** The backups of a database in a folder, newest first. */
export function backupsIn(folder: string, database: string): string[] {
  const at = (name: string) => NAME.exec(name)?.[2] ?? "";
  return readdirSync(folder)
    .filter((name) => NAME.exec(name)?.[1] === database)
    .sort((one, other) => (at(one) < at(other) ? 1 : -1))
    .map((name) => join(folder, name));
}

/** Removes all but the newest of the database a backup is of, from its folder; gives their names. */
export function removeOlder(file: string, keep: number): string[] {
  const database = NAME.exec(basename(file))?.[1];
  if (database === undefined) return []; // under a name of the operator's own
  const older = backupsIn(dirname(file), database).slice(keep);
  for (const old of older) rmSync(old);
  return older;
}
