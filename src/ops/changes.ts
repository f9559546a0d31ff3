import type postgres from "postgres";
import { onConnection } from "./owner.ts";
import { within } from "./runs.ts";
import { rowKeys, takeSnapshot } from "./snapshot.ts";

/** How a table of one database differs from that of an earlier one. */
export interface TableChange {
  readonly table: string;
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
}

/**
 * What has come, gone and changed in the tables of a database since it was what another one is: by primary key, over the
 * columns both have. Tables that are equal are left out. Streamed.
 */
export function changedSince(
  now_url: string,
  then_url: string,
  progress: (line: string) => void,
): Promise<TableChange[]> {
  return reading(now_url, (now) => reading(then_url, (then) => compare(now, then, progress)));
}

async function compare(now: postgres.ISql, then: postgres.ISql, progress: (line: string) => void) {
  const schemas = ["brain"];
  const told = (table: string, rows: number) => progress(`compares ${table}: ${rows} rows`);
  const before = await takeSnapshot(then, { schemas, progress: told });
  const only = Object.fromEntries(Object.entries(before.tables).map(([name, { columns }]) => [name, columns]));
  const after = await takeSnapshot(now, { schemas, only, progress: told });
  const changes: TableChange[] = [];
  for (const [table, { checksum }] of Object.entries(before.tables)) {
    if (after.tables[table]?.checksum === checksum) continue;
    const columns = after.tables[table]?.columns;
    if (!columns) changes.push({ table, added: 0, removed: before.tables[table]?.rows ?? 0, changed: 0 });
    else changes.push({ table, ...(await merged(rowKeys(then, table, columns), rowKeys(now, table, columns))) });
  }
  return changes.filter(({ added, removed, changed }) => added + removed + changed > 0);
}

type Row = { key: string; hash: string };

/** Two lists in the order of their keys, walked side by side. */
async function merged(before: AsyncGenerator<Row>, after: AsyncGenerator<Row>) {
  const count = { added: 0, removed: 0, changed: 0 };
  let [was, is] = await Promise.all([before.next(), after.next()]);
  while (!was.done || !is.done) {
    if (is.done || (!was.done && was.value.key < is.value.key)) {
      count.removed++;
      was = await before.next();
    } else if (was.done || is.value.key < was.value.key) {
      count.added++;
      is = await after.next();
    } else {
      if (was.value.hash !== is.value.hash) count.changed++;
      [was, is] = await Promise.all([before.next(), after.next()]);
    }
  }
  return count;
}

function reading<T>(url: string, work: (tx: postgres.ISql) => Promise<T>): Promise<T> {
  return onConnection(url, (session) => within(session, work, "isolation level repeatable read, read only"));
}
