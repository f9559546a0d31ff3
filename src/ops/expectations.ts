import { Refusal } from "../refusal.ts";
import type { Migration } from "./committed.ts";
import type { Snapshot } from "./snapshot.ts";

/** What a run of migrations says it does to the rows of a table that was there before. */
export interface Expectation {
  /** How many more rows; null: any number. */
  rows: number | null;
  /** Columns whose values it writes anew; `*`: all. */
  rewrites: Set<string>;
  /** Columns it takes away. */
  drops: Set<string>;
  is_dropped: boolean;
}

export type Expectations = ReadonlyMap<string, Expectation>;

/**
 * Of migrations that were committed before one could say it in the file, by file name. `rows: any` where it depends on
 * what was stored.
 */
const SAID_LATER: Readonly<Record<string, string>> = {
  "000002.sql": `
--! expect memories: +0 rewrites: state, archived_at, revision, updated_at
--! expect mcp_sessions: any`,
  "000003.sql": "--! expect revoked_tokens: any",
  "000004.sql": "--! expect mcp_sessions: any",
};

const LINE = /^--!\s*expect\b(.*)$/gm;
const SAID =
  /^\s+([a-z_]+):\s*(?:(dropped)|([+-]\d+|any))(?:\s+rewrites:\s*(\*|[a-z_]+(?:\s*,\s*[a-z_]+)*))?(?:\s+drops:\s*([a-z_]+(?:\s*,\s*[a-z_]+)*))?\s*$/;

/**
 * What migrations declare together, by `brain.<table>`:
 *   --! expect memories: +0 rewrites: category, tags drops: terms
 *   --! expect idempotency_keys: dropped
 * Throws a Refusal that names a line that cannot be read.
 */
export function expectationsOf(migrations: readonly Pick<Migration, "filename" | "file" | "body">[]): Expectations {
  const together = new Map<string, Expectation>();
  for (const { filename, file, body } of migrations) {
    for (const [line, said = ""] of `${SAID_LATER[filename] ?? ""}\n${body}`.matchAll(LINE)) {
      const [, table, dropped, rows, rewrites, drops] = SAID.exec(said) ?? [];
      if (!table) throw new Refusal("migration_failed", `${file} declares what cannot be read: ${line}`);
      const name = `brain.${table}`;
      const all = together.get(name) ?? { rows: 0, rewrites: new Set(), drops: new Set(), is_dropped: false };
      all.is_dropped ||= dropped !== undefined;
      all.rows = all.rows === null || rows === "any" ? null : all.rows + Number(rows ?? 0);
      for (const column of namesIn(rewrites)) all.rewrites.add(column);
      for (const column of namesIn(drops)) all.drops.add(column);
      together.set(name, all);
    }
  }
  return together;
}

const namesIn = (list = "") => list.split(",").flatMap((name) => (name.trim() ? [name.trim()] : []));

/** The columns of a table that must be afterwards what they were before. */
export function untouched(columns: readonly string[], expected: Expectation | undefined): string[] {
  if (!expected) return [...columns];
  const { rewrites, drops } = expected;
  return columns.filter((column) => !rewrites.has("*") && !rewrites.has(column) && !drops.has(column));
}

/** What came out otherwise than declared, as sentences with the table, before and after; none: as declared. */
export function surprises(before: Snapshot, after: Snapshot, expected: Expectations): string[] {
  return Object.entries(before.tables).flatMap(([table, was]) => {
    const { rows = 0, is_dropped = false } = expected.get(table) ?? {};
    const is = after.tables[table];
    if (!is) return is_dropped ? [] : [`${table}: the table is gone; it had ${was.rows} rows`];
    const gone = was.columns.filter((column) => !is.columns.includes(column));
    if (gone.length > 0) return [`${table}: the column ${gone.join(", ")} is gone`];
    if (rows === null) return [];
    if (is.rows !== was.rows + rows)
      return [`${table}: ${was.rows} rows before, ${is.rows} after; ${signed(rows)} declared`];
    // With other rows in it the hash is another; which ones came and went was declared by their number alone.
    if (rows === 0 && is.checksum !== was.checksum)
      return [`${table}: ${was.rows} rows before and after, and not all of them hold what they held`];
    return [];
  });
}

const signed = (rows: number) => (rows < 0 ? String(rows) : `+${rows}`);
