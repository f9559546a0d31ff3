import { open, stat } from "node:fs/promises";
import { type Archive, openArchive } from "../backup/zip.ts";
import { messageOf, Refusal } from "../refusal.ts";
import type { BackupKey } from "./backup_key.ts";
import { BACKUP_VERSION, type BackupManifest, manifestFrom } from "./backup_manifest.ts";
import type { Migration } from "./committed.ts";
import { sealOf } from "./sealed_file.ts";

/** A backup that was found to be whole. */
export interface OpenBackup extends AsyncDisposable {
  readonly file: string;
  readonly manifest: BackupManifest;
  /** What a table held, as COPY prints it. Throws a Refusal at its end where it is not what the manifest says. */
  rows(table: string): AsyncGenerator<Uint8Array>;
}

const refused = (file: string, why: string, cause?: unknown) =>
  new Refusal("backup_refused", `The backup ${file} ${why}. Nothing was changed.`, cause);

/**
 * Opens a backup and reads it whole, to know that every byte is what was written with the key, or without one that each
 * table is what the manifest says. Throws a Refusal that names what is wrong: missing, empty, no backup, truncated,
 * damaged, sealed with the key of another data directory, of another format.
 */
export async function openBackup(file: string, key: BackupKey | null): Promise<OpenBackup> {
  const found = await stat(file).catch((error: unknown) => {
    const is_missing = (error as { code?: string }).code === "ENOENT";
    throw refused(file, is_missing ? "is missing" : `cannot be read: ${messageOf(error)}`, error);
  });
  if (!found.isFile()) throw refused(file, "is not a file");
  const seal = await sealOf(file, key);
  if (seal === "empty") throw refused(file, "is empty");
  if (seal === "foreign") throw refused(file, "is truncated, or is no backup of `brain backup`");
  if (seal === "cut") throw refused(file, "is truncated, or its end is damaged");
  const handle = await open(file, "r");
  const close = () => handle.close();
  try {
    const archive = await openArchive(handle.fd, { is_own: true });
    const manifest = manifestFrom(await textOf(archive, "manifest.json"));
    if (!manifest) throw refused(file, "is damaged: its manifest cannot be read");
    if (key && manifest.key_id !== key.id)
      throw refused(
        file,
        `is sealed with the key ${manifest.key_id} of another data directory, and this one's is ${key.id}. Give that key with --key`,
      );
    if (seal === "broken") throw refused(file, `is damaged${await damagedIn(archive, manifest)}`);
    if (manifest.version > BACKUP_VERSION) throw refused(file, `is of a newer release (${manifest.release})`);
    if (!key) for (const table of Object.keys(manifest.tables)) await drain(rowsIn(file, archive, manifest, table));
    return {
      file,
      manifest,
      rows: (table) => rowsIn(file, archive, manifest, table),
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error instanceof Refusal ? error : refused(file, `is damaged: ${messageOf(error)}`, error);
  }
}

/** Throws a Refusal unless this release has the very migrations the backup was made under. */
export function expectKnownMigrations({ file, manifest }: OpenBackup, migrations: readonly Migration[]): Migration[] {
  const known = new Map(migrations.map((migration) => [migration.filename, migration]));
  return manifest.migrations.map(({ filename, hash }) => {
    const migration = known.get(filename);
    if (migration?.hash !== hash)
      throw refused(
        file,
        `was made under ${migration ? `another ${filename}` : filename}, which this release (up to ${migrations.at(-1)?.filename}) does not know; use the release ${manifest.release} that made it`,
      );
    return migration;
  });
}

async function* rowsIn(file: string, archive: Archive, { tables }: BackupManifest, name: string) {
  const table = tables[name];
  if (!table || !archive.has(table.member)) throw refused(file, `is damaged: ${name} is not in it`);
  const sha256 = new Bun.CryptoHasher("sha256");
  for await (const chunk of archive.read(table.member)) {
    sha256.update(chunk);
    yield chunk;
  }
  if (sha256.digest("hex") !== table.sha256) throw refused(file, `is damaged: ${name} is not what was written`);
}

/** Which table, where one can tell: a bit may also have changed between them. */
async function damagedIn(archive: Archive, manifest: BackupManifest): Promise<string> {
  for (const name of Object.keys(manifest.tables)) {
    const is_whole = await drain(rowsIn("", archive, manifest, name)).then(
      () => true,
      () => false,
    );
    if (!is_whole) return `: ${name} is not what was written`;
  }
  return "";
}

async function drain(chunks: AsyncIterable<Uint8Array>) {
  for await (const _ of chunks);
}

async function textOf(archive: Archive, name: string): Promise<string> {
  if (!archive.has(name)) return "";
  const chunks: Uint8Array[] = [];
  for await (const chunk of archive.read(name)) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
