import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { Readable } from "node:stream";
import type postgres from "postgres";
import { ZipFile } from "yazl";
import { messageOf, Refusal } from "../refusal.ts";
import { VERSION } from "../version.ts";
import type { BackupKey } from "./backup_key.ts";
import {
  BACKED_UP_SCHEMAS,
  BACKUP_FORMAT,
  BACKUP_VERSION,
  type BackedUpTable,
  type BackupManifest,
  migrationOf,
  rowsOf,
} from "./backup_manifest.ts";
import { onConnection } from "./owner.ts";
import { within } from "./runs.ts";
import { schemaObjects } from "./schema_objects.ts";
import { isUnfinished, writeSealed } from "./sealed_file.ts";
import { copyOut, sayItOneWay, tableColumns, takeSnapshot } from "./snapshot.ts";

/** A backup that was written. */
export interface Backup {
  readonly file: string;
  readonly bytes: number;
  readonly migration: string | null;
  readonly rows: number;
  readonly taken_at: string;
}

interface Options {
  /** A folder, or the name of a file that is not there yet. */
  readonly to: string;
  readonly key: BackupKey;
  readonly progress?: (line: string) => void;
}

/** Fast rather than small: text comes to about a third either way. */
const COMPRESSION_LEVEL = 1;
const PIECE_BYTES = 65_536;

/**
 * Writes everything a database holds of ours, as of one moment, into one sealed file; writers are not held up. As the
 * owner. Throws a Refusal where the role does not see every row or the file cannot be made, and leaves no file then.
 */
export function writeBackup(owner_url: string, { to, key, progress = () => {} }: Options): Promise<Backup> {
  return onConnection(owner_url, async (session) => {
    const path = await placeFor(to, session);
    return within(
      session,
      async (tx) => {
        const manifest = await manifestOf(tx, key, progress);
        const bytes = await writeSealed(path, archiveOf(tx, manifest, progress), key);
        const { taken_at } = manifest;
        return { file: path, bytes, migration: migrationOf(manifest), rows: rowsOf(manifest), taken_at };
      },
      "isolation level repeatable read, read only",
    );
  });
}

/** A name that tells which database, at which migration, when; removes what killed commands have left in the folder. */
async function placeFor(to: string, sql: postgres.ISql): Promise<string> {
  const path = resolve(to);
  const is_folder = to.endsWith("/") || !/\.zip$/.test(to) || (existsSync(path) && statSync(path).isDirectory());
  const folder = is_folder ? path : dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw new Refusal("bad_config", `The folder for backups cannot be used: ${messageOf(error)}.`, error);
  });
  for (const name of readdirSync(folder).filter(isUnfinished)) if (isLeft(name)) rmSync(join(folder, name));
  if (!is_folder && existsSync(path))
    throw new Refusal("would_overwrite", `${path} is there already; name another file.`);
  if (!is_folder) return path;
  const [row] = await sql<{ name: string; newest: string }[]>`
    select current_database() as name, coalesce(max(filename), '000000.sql') as newest from graphile_migrate.migrations`.catch(
    (error: { code?: string }) => {
      if (error.code === "42P01" || error.code === "3F000")
        throw new Refusal(
          "schema_behind",
          "The database has no schema of ours yet; run `brain migrate`. There is nothing to back up.",
        );
      throw error;
    },
  );
  const at = new Date().toISOString().replaceAll(/[-:.]/g, "");
  return join(folder, `${row?.name.replaceAll(/[^\w-]/g, "_")}-${row?.newest.slice(0, 6)}-${at}.zip`);
}

/** Whether the process that wrote an unfinished file is gone. */
function isLeft(name: string): boolean {
  const pid = Number(/\.(\d+)\.unfinished$/.exec(name)?.[1]);
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}

type Unwritten = Omit<BackupManifest, "tables"> & {
  tables: Record<string, Omit<BackedUpTable, "bytes" | "sha256"> & { bytes: number; sha256: string }>;
};

/** Everything the manifest says but what is known only when the members are written. The first to look fixes the moment. */
async function manifestOf(tx: postgres.ISql, key: BackupKey, progress: (line: string) => void): Promise<Unwritten> {
  await sayItOneWay(tx);
  const columns = await tableColumns(tx, BACKED_UP_SCHEMAS);
  columns.delete("graphile_migrate.current"); // a developer's work
  // What would be altered while it is copied is held as it is.
  await tx.unsafe(`lock table ${[...columns.keys()].join(", ")} in access share mode`);
  const [facts] = await tx<{ taken_at: string; database: string; server_version: string; server_major: number }[]>`
    select to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as taken_at, current_database() as database,
           current_setting('server_version') as server_version, current_setting('server_version_num')::int / 10000 as server_major`;
  if (!facts) throw new Error("the database tells nothing of itself");
  const { schema_hash, tables } = await takeSnapshot(tx, {
    schemas: BACKED_UP_SCHEMAS,
    only: Object.fromEntries(columns),
    progress: (table, rows) => progress(`counts ${table}: ${rows} rows`),
  });
  const copied = await copiedColumns(tx);
  return {
    format: BACKUP_FORMAT,
    version: BACKUP_VERSION,
    release: VERSION,
    ...facts,
    installation: await installationOf(tx),
    key_id: key.id,
    migrations: await tx<{ filename: string; hash: string }[]>`
      select filename, hash from graphile_migrate.migrations order by filename`.then((rows) => [...rows]),
    schema_hash,
    objects: await schemaObjects(tx),
    tables: Object.fromEntries(
      Object.entries(tables).map(([name, table]) => [
        name,
        { ...table, member: `${name}.copy`, copied: copied.get(name) ?? [], bytes: 0, sha256: "" },
      ]),
    ),
    sequences: await sequencesOf(tx),
  };
}

/** Which database this is; null before 000013. */
export async function installationOf(sql: postgres.ISql): Promise<string | null> {
  const [known] = await sql<{ there: boolean }[]>`select to_regclass('ops.installation') is not null as there`;
  if (!known?.there) return null;
  const [row] = await sql<{ id: string }[]>`select id from ops.installation order by created_at limit 1`;
  return row?.id ?? null;
}

async function copiedColumns(tx: postgres.ISql): Promise<Map<string, string[]>> {
  const rows = await tx<{ name: string; columns: string[] }[]>`
    select format('%I.%I', nspname, relname) as name,
           coalesce(array_agg(quote_ident(attname) order by attnum) filter (where attname is not null), '{}') as columns
    from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace
    left join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped and attgenerated = ''
    where nspname = any (${BACKED_UP_SCHEMAS}) and relkind = 'r'
    group by nspname, relname`;
  return new Map(rows.map(({ name, columns }) => [name, columns]));
}

async function sequencesOf(tx: postgres.ISql) {
  const names = await tx<{ name: string }[]>`
    select format('%I.%I', nspname, relname) as name
    from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace
    where nspname = any (${BACKED_UP_SCHEMAS}) and relkind = 'S'
    order by name`;
  const sequences: BackupManifest["sequences"][number][] = [];
  for (const { name } of names) {
    const [row] = await tx.unsafe<{ last_value: string; is_called: boolean }[]>(
      `select last_value::text, is_called from ${name}`,
    );
    if (row) sequences.push({ name, ...row });
  }
  return sequences;
}

/** The zip archive as it is written: each table as COPY prints it, and the manifest at the end. */
async function* archiveOf(tx: postgres.ISql, manifest: Unwritten, progress: (line: string) => void) {
  const zip = new ZipFile();
  const output = zip.outputStream as Readable;
  const fail = (error: Error) => void output.destroy(error);
  zip.on("error", fail);
  const add = (name: string, chunks: () => AsyncIterable<Uint8Array>) =>
    zip.addReadStreamLazy(
      name,
      { compressionLevel: COMPRESSION_LEVEL, mode: 0o600, forceZip64Format: true },
      (give) => {
        // yazl 3.3.1 does not listen for the errors of a stream that it is given late.
        give(null, Readable.from(chunks(), { objectMode: false }).on("error", fail));
      },
    );
  for (const [name, table] of Object.entries(manifest.tables))
    add(table.member, async function* () {
      const sha256 = new Bun.CryptoHasher("sha256");
      const statement = `copy (select ${table.copied.join(", ")} from ${name}) to stdout`;
      for await (const piece of inPieces(await copyOut(tx, statement))) {
        sha256.update(piece);
        table.bytes += piece.length;
        progress(`copies ${name}: ${Math.round(table.bytes / 1e6)} MB of ${table.rows} rows`);
        yield piece;
      }
      table.sha256 = sha256.digest("hex");
    });
  add("manifest.json", async function* () {
    yield Buffer.from(`${JSON.stringify(manifest, null, 1)}\n`);
  });
  zip.end();
  for await (const chunk of output) yield chunk as Buffer;
}

/** COPY gives a row at a time, of some dozen bytes; what takes them is quicker with more at once. */
async function* inPieces(rows: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let kept: Uint8Array[] = [];
  let bytes = 0;
  for await (const row of rows) {
    kept.push(row);
    bytes += row.length;
    if (bytes < PIECE_BYTES) continue;
    yield Buffer.concat(kept);
    kept = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(kept);
}
