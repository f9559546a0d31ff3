import type postgres from "postgres";
import type { Migration } from "./committed.ts";
import { recordedCatalog } from "./runs.ts";
import { differences, schemaObjects } from "./schema_objects.ts";

/** What was applied to the database under a name of this release, and is not what this release has under it. */
export async function driftOfFiles(sql: postgres.ISql, migrations: readonly Migration[]): Promise<string[]> {
  const [known] = await sql<{ name: string | null }[]>`select to_regclass('graphile_migrate.migrations')::text as name`;
  if (!known?.name) return [];
  const applied = await sql<{ filename: string; hash: string }[]>`
    select filename, hash from graphile_migrate.migrations order by filename`;
  const ours = new Map(migrations.map((migration) => [migration.filename, migration]));
  const faults = applied.flatMap(({ filename, hash }) => {
    const migration = ours.get(filename);
    if (!migration) return [`${filename} was applied to this database, and this release has none of that number`];
    return migration.hash === hash
      ? []
      : [`migrations/committed/${migration.file} is not what was applied to this database`];
  });
  const newest = applied.at(-1)?.filename ?? "";
  const names = new Set(applied.map(({ filename }) => filename));
  const skipped = migrations.filter(({ filename }) => filename < newest && !names.has(filename));
  return [...faults, ...skipped.map(({ file }) => `${file} was never applied, and later ones were`)];
}

/** What in the database is not as the last run left it; none where no run is known. In a transaction. */
export async function driftOfCatalog(tx: postgres.ISql): Promise<string[]> {
  const recorded = await recordedCatalog(tx);
  return recorded ? differences(recorded, await schemaObjects(tx)) : [];
}
