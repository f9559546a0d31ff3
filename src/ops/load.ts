import type { Readable as ReadableStream, Writable } from "node:stream";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type postgres from "postgres";
import { messageOf, Refusal } from "../refusal.ts";
import { applyMigrations } from "./apply.ts";
import { expectKnownMigrations, type OpenBackup } from "./backup_read.ts";
import type { Migration } from "./committed.ts";
import { closeToOthers } from "./databases.ts";
import { onConnection } from "./owner.ts";
import { within } from "./runs.ts";
import { differences, schemaObjects } from "./schema_objects.ts";
import { sayItOneWay, takeSnapshot } from "./snapshot.ts";

interface Options {
  readonly migrations: readonly Migration[];
  readonly progress?: (line: string) => void;
}

/** What was found of a backup once it was restored. */
export interface Restored {
  /** Tables whose rows are not what the manifest says, as sentences; none: it is restorable. */
  readonly faults: string[];
  /** What the schema backed up was beside what its migrations make: it was done by hand, and is not restored. */
  readonly by_hand: string[];
}

/**
 * Restores a backup into an empty database, by the migrations it was made under and then its rows with triggers, keys and
 * references off, and counts and hashes what is there by then. As the owner, who needs to be no superuser. Throws a
 * Refusal where that cannot be done.
 */
export async function loadBackup(
  url: string,
  backup: OpenBackup,
  { migrations, progress = () => {} }: Options,
): Promise<Restored> {
  const known = expectKnownMigrations(backup, migrations);
  return onConnection(url, async (session) => {
    await closeToOthers(session);
    await within(session, async (tx) => {
      await sayItOneWay(tx);
      await applyMigrations(tx, known);
      const made = await schemaObjects(tx);
      const taken_off = await takeOff(tx, backup);
      for (const [name, { copied, rows }] of Object.entries(backup.manifest.tables)) {
        progress(`restores ${name}: ${rows} rows`);
        const to = await tx.unsafe(`copy ${name} (${copied.join(", ")}) from stdin`).writable();
        await pipeline(Readable.from(backup.rows(name), { objectMode: false }) as ReadableStream, to as Writable);
      }
      for (const { name, last_value, is_called } of backup.manifest.sequences)
        await tx`select setval(${name}::text::regclass, ${last_value}::text::bigint, ${is_called})`;
      await tx`select set_config('maintenance_work_mem', '128MB', true)`;
      for (const statement of taken_off) {
        progress(statement.slice(0, 72));
        await tx.unsafe(statement);
      }
      const changed = differences(made, await schemaObjects(tx));
      if (changed.length > 0) throw new Error(`restoring left the schema otherwise: ${changed.join("; ")}`);
    }).catch((error: unknown) => {
      if (error instanceof Refusal) throw error;
      throw new Refusal("not_restorable", `The backup ${backup.file} cannot be restored: ${messageOf(error)}`, error);
    });
    return within(session, (tx) => compared(tx, backup, progress), "isolation level repeatable read, read only");
  });
}

/**
 * Takes off references, keys and indexes, and switches triggers off, for rows come in the order of tables and as they were,
 * and a million of them into a dozen indexes one by one takes many times as long; empties the tables of what migrations
 * put in. Gives the statements that undo it. The owner may not switch off the triggers of references themselves.
 */
async function takeOff(tx: postgres.ISql, { manifest }: OpenBackup): Promise<string[]> {
  const tables = Object.keys(manifest.tables);
  const taken = await tx<{ off: string; on: string }[]>`
    select format('alter table %s drop constraint %I', conrelid::regclass, conname) as off,
           format('alter table %s add constraint %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) as on,
           contype = 'f' as is_reference, conrelid as relation, conname as name
    from pg_constraint
    where contype in ('f', 'p', 'u') and conrelid::regclass::text = any (${tables})
    union all
    select format('drop index %s', indexrelid::regclass), pg_get_indexdef(indexrelid), false, indrelid, indexrelid::regclass::text
    from pg_index
    where indrelid::regclass::text = any (${tables}) and not exists (select from pg_constraint where conindid = indexrelid)
    order by is_reference desc, relation, name`;
  for (const { off } of taken) await tx.unsafe(off);
  await tx.unsafe(`truncate ${tables.join(", ")}`);
  for (const table of tables) await tx.unsafe(`alter table ${table} disable trigger user`);
  // References last: they need the keys they lead to.
  return [...tables.map((table) => `alter table ${table} enable trigger user`), ...taken.map(({ on }) => on).reverse()];
}

async function compared(
  tx: postgres.ISql,
  { manifest }: OpenBackup,
  progress: (line: string) => void,
): Promise<Restored> {
  const { tables } = await takeSnapshot(tx, {
    schemas: [...new Set(Object.keys(manifest.tables).map((name) => name.split(".")[0] ?? ""))],
    only: Object.fromEntries(Object.entries(manifest.tables).map(([name, { columns }]) => [name, columns])),
    progress: (table, rows) => progress(`verifies ${table}: ${rows} rows`),
  });
  const faults = Object.entries(manifest.tables).flatMap(([name, { rows, checksum }]) => {
    const found = tables[name];
    if (found?.checksum === checksum && found.rows === rows) return [];
    return [
      `${name}: ${rows} rows backed up, ${found?.rows ?? 0} restored${found?.rows === rows ? ", and they differ" : ""}`,
    ];
  });
  const [server] = await tx<{ major: number }[]>`select current_setting('server_version_num')::int / 10000 as major`;
  const is_comparable = server?.major === manifest.server_major;
  return { faults, by_hand: is_comparable ? differences(await schemaObjects(tx), manifest.objects) : [] };
}
