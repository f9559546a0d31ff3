import { readdirSync } from "node:fs";
import { join } from "node:path";

export const MIGRATIONS = join(import.meta.dir, "../../migrations");
export const COMMITTED = join(MIGRATIONS, "committed");

/** The newest migration of this release, by the name graphile-migrate records. Its code is not loaded for that: `serve` starts sooner. */
export function newestMigration(): string {
  const newest = migrationFilesIn(COMMITTED).at(-1);
  if (!newest) throw new Error("This release has no migrations.");
  return recordedAs(newest);
}

/** Files of committed migrations, oldest first. */
export const migrationFilesIn = (folder: string) =>
  readdirSync(folder)
    .filter((name) => /^\d{6}(-[^/]*)?\.sql$/.test(name))
    .sort();

/** The name by which graphile-migrate records a file: six digits and `.sql`. */
export const recordedAs = (file: string) => `${file.slice(0, 6)}.sql`;
