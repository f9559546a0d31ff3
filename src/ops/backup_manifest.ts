import type { SchemaObjects } from "./schema_objects.ts";
import type { TableSnapshot } from "./snapshot.ts";

export const BACKUP_FORMAT = "coding-brain-backup";
export const BACKUP_VERSION = 1;
/** What a backup holds: tenants' rows, which database this is and who migrated it, and what was applied. */
export const BACKED_UP_SCHEMAS = ["brain", "ops", "graphile_migrate"];

/** A table in a backup: what a checksum says it holds, and the member that has it. */
export interface BackedUpTable extends TableSnapshot {
  readonly member: string;
  /** Those of the member, in its order, quoted where that is needed. */
  readonly copied: readonly string[];
  readonly bytes: number;
  readonly sha256: string;
}

/** What a backup says of itself. */
export interface BackupManifest {
  readonly format: typeof BACKUP_FORMAT;
  readonly version: typeof BACKUP_VERSION;
  readonly release: string;
  /** The moment its rows are of. */
  readonly taken_at: string;
  /** Which database it is of; null for one that was made before databases had an id. */
  readonly installation: string | null;
  readonly database: string;
  readonly server_version: string;
  readonly server_major: number;
  readonly key_id: string;
  readonly migrations: readonly { readonly filename: string; readonly hash: string }[];
  readonly schema_hash: string;
  readonly objects: SchemaObjects;
  readonly tables: Readonly<Record<string, BackedUpTable>>;
  readonly sequences: readonly { readonly name: string; readonly last_value: string; readonly is_called: boolean }[];
}

/** Which migration a backup is at. */
export const migrationOf = ({ migrations }: BackupManifest) => migrations.at(-1)?.filename ?? null;

/** The rows of tenants. */
export const rowsOf = ({ tables }: Pick<BackupManifest, "tables">) =>
  Object.entries(tables).reduce((sum, [name, { rows }]) => sum + (name.startsWith("brain.") ? rows : 0), 0);

/** The manifest in a text, or null where it is none of ours. */
export function manifestFrom(text: string): BackupManifest | null {
  try {
    const manifest = JSON.parse(text) as Partial<BackupManifest> | null;
    const is_ours =
      manifest?.format === BACKUP_FORMAT &&
      typeof manifest.version === "number" &&
      typeof manifest.key_id === "string" &&
      Array.isArray(manifest.migrations) &&
      Array.isArray(manifest.sequences) &&
      typeof manifest.tables === "object";
    return is_ours ? (manifest as BackupManifest) : null;
  } catch {
    return null; // no JSON
  }
}
