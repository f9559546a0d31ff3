import type postgres from "postgres";
import { Refusal } from "../refusal.ts";
import { schemaHash, schemaObjects } from "./schema_objects.ts";

/** What a table holds: how many rows, and one hash over them. */
export interface TableSnapshot {
  readonly rows: number;
  readonly checksum: string;
  /** Those the checksum is over, in its order; a generated one follows from the others and is left out. */
  readonly columns: readonly string[];
}

/** What a database holds: a schema, and the rows of each table by `schema.table`. */
export interface Snapshot {
  readonly schema_hash: string;
  readonly tables: Readonly<Record<string, TableSnapshot>>;
}

type Only = Readonly<Record<string, readonly string[]>> | null;

interface Options {
  /** Whose tables; the tenants' alone when nothing is said. */
  schemas?: readonly string[];
  /** Of these tables these columns, by `schema.table`, and of no others; all when nothing is said. */
  only?: Only;
  /** Hears how many rows have been read of a table. */
  progress?: (table: string, rows: number) => void;
}

const HASH_LINE_BYTES = 65; // 64 digits and a line feed

/**
 * Counts and hashes every row, in the transaction given: one moment where that is repeatable read, or holds the tables
 * locked. A row is the SHA-256 of its columns in the order of their names, each with its length before it and null by a
 * mark of its own; a table, of the hashes of its rows in the order of the primary key. Streamed: any size. Throws a
 * Refusal where the role cannot see every row.
 */
export async function takeSnapshot(tx: postgres.ISql, options: Options = {}): Promise<Snapshot> {
  const { schemas = ["brain"], only = null, progress = () => {} } = options;
  await expectSeesAll(tx, schemas);
  await sayItOneWay(tx);
  const tables: Record<string, TableSnapshot> = {};
  for (const { name, columns, statement } of await statements(tx, schemas, only)) {
    const hasher = new Bun.CryptoHasher("sha256").update(`${JSON.stringify(columns)}\n`);
    let bytes = 0;
    for await (const chunk of await copyOut(tx, statement)) {
      hasher.update(chunk);
      bytes += chunk.length;
      progress(name, Math.floor(bytes / HASH_LINE_BYTES));
    }
    tables[name] = { rows: bytes / HASH_LINE_BYTES, checksum: hasher.digest("hex"), columns };
  }
  return { schema_hash: schemaHash(await schemaObjects(tx)), tables };
}

/**
 * What a `copy … to stdout` gives, a row at a time or some. Given up halfway, it holds its connection, and fails when that
 * is closed: by then nobody listens.
 */
export async function copyOut(tx: postgres.ISql, statement: string): Promise<AsyncIterable<Buffer>> {
  const rows = await tx.unsafe(statement).readable();
  rows.on("error", () => {}); // whoever reads is told as well
  return rows;
}

const KEYED_LINE_BYTES = 129;

/** Each row as a hash of its primary key and one of these columns, ordered by the first. Streamed. */
export async function* rowKeys(tx: postgres.ISql, table: string, columns: readonly string[]) {
  const [schema = ""] = table.split(".");
  const [found] = await statements(tx, [schema], { [table]: columns });
  if (!found) return;
  let kept = Buffer.alloc(0);
  for await (const chunk of await copyOut(tx, found.keyed)) {
    const lines = Buffer.concat([kept, chunk]);
    let from = 0;
    for (; from + KEYED_LINE_BYTES <= lines.length; from += KEYED_LINE_BYTES)
      yield {
        key: lines.toString("latin1", from, from + 64),
        hash: lines.toString("latin1", from + 64, from + KEYED_LINE_BYTES - 1),
      };
    kept = lines.subarray(from);
  }
}

/** The tables of schemas as `schema.table`, quoted where that is needed, each with the columns a checksum is over. */
export async function tableColumns(tx: postgres.ISql, schemas: readonly string[]): Promise<Map<string, string[]>> {
  return new Map((await statements(tx, schemas, null)).map(({ name, columns }) => [name, columns]));
}

/** As text a value must look the same whoever asks, wherever. For the rest of the transaction. */
export async function sayItOneWay(tx: postgres.ISql): Promise<void> {
  await tx`
    select set_config(name, value, true)
    from (values ('TimeZone', 'UTC'), ('DateStyle', 'ISO'), ('IntervalStyle', 'postgres'), ('bytea_output', 'hex'),
                 ('extra_float_digits', '1'), ('client_encoding', 'UTF8'), ('statement_timeout', '0'),
                 ('idle_in_transaction_session_timeout', '0')) as settings (name, value)`;
}

/** Throws a Refusal where row security, or a right that is missing, hides rows from this role: 0 would equal 0. */
export async function expectSeesAll(tx: postgres.ISql, schemas: readonly string[]): Promise<void> {
  const hidden = await tx<{ name: string }[]>`
    select format('%I.%I', nspname, relname) as name
    from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace
    where nspname = any (${schemas as string[]}) and relkind = 'r'
      and (row_security_active(pg_class.oid)
           or not (has_schema_privilege(relnamespace, 'usage') and has_table_privilege(pg_class.oid, 'select')))
    order by name`;
  if (hidden.length === 0) return;
  const [role] = await tx<{ name: string }[]>`select current_user as name`;
  throw new Refusal(
    "owner_refused",
    `The role ${role?.name} cannot see every row of ${hidden.map(({ name }) => name).join(", ")}; use the owner's connection.`,
  );
}

/** The server writes them, and quotes what goes into them. Text is ordered by its bytes, whatever the database's locale. */
function statements(tx: postgres.ISql, schemas: readonly string[], only: Only) {
  return tx<{ name: string; columns: string[]; statement: string; keyed: string }[]>`
    with tables as (
      select pg_class.oid, format('%I.%I', nspname, relname) as name
      from pg_class
      join pg_namespace on pg_namespace.oid = relnamespace
      where nspname = any (${schemas as string[]}) and relkind = 'r'
        and coalesce(${only && JSON.stringify(only)}::text::jsonb ? format('%I.%I', nspname, relname), true)
    ),
    columns as (
      select tables.oid,
             coalesce(array_agg(attname::text order by attname collate "C") filter (where attname is not null), '{}') as names,
             string_agg(format('case when %1$I is null then ''-'' else octet_length(%1$I::text) || '':'' || %1$I::text end', attname),
                        ' || ' order by attname collate "C") filter (where attname is not null) as encoded
      from tables
      left join pg_attribute on attrelid = tables.oid and attnum > 0 and not attisdropped and attgenerated = ''
        and coalesce(${only && JSON.stringify(only)}::text::jsonb -> name ? attname::text, true)
      group by tables.oid
    ),
    keys as (
      select indrelid as oid,
             string_agg(format(case when attcollation <> 0 then '%I collate "C"' else '%I' end, attname), ', ' order by place) as listed,
             string_agg(format('octet_length(%1$I::text) || '':'' || %1$I::text', attname), ' || ' order by place) as encoded_key
      from pg_index
      cross join unnest(indkey::int2[]) with ordinality as key (attnum, place)
      join pg_attribute on attrelid = indrelid and pg_attribute.attnum = key.attnum
      where indisprimary
      group by indrelid
    )
    select name, names as columns,
           format('copy (select encode(sha256(convert_to(%s, ''UTF8'')), ''hex'') from %s order by %s) to stdout',
                  coalesce(encoded, ''''''), name, coalesce(listed, '1')) as statement,
           format('copy (select encode(sha256(convert_to(%1$s, ''UTF8'')), ''hex'') collate "C" || encode(sha256(convert_to(%2$s, ''UTF8'')), ''hex'') from %3$s order by 1) to stdout',
                  coalesce(encoded_key, encoded, ''''''), coalesce(encoded, ''''''), name) as keyed
    from tables
    join columns using (oid)
    left join keys using (oid)
    order by name collate "C"`;
}
