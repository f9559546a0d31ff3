import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { committedMigrations } from "./committed.ts";
import { MIGRATIONS } from "./migration_files.ts";

/** Rows that go when a migration is taken back: all of a table, or those a condition holds for. */
export interface Loss {
  /** With its schema, as the file writes it. */
  readonly table: string;
  readonly condition: string | null;
}

/** What a file of migrations/rollback says, with the pieces of sql/ it restores written out. */
export interface Rollback {
  /** Six digits. */
  readonly number: string;
  /** The committed file it takes back. */
  readonly migration: string;
  /** Whether the release before runs on this migration's schema: `runs`, `fails, as …`, or `none`: there was none. */
  readonly release_before: string;
  readonly lost: readonly Loss[];
  /** Tables and columns that go, and that the migration, applied again, makes anew from others. */
  readonly derived: readonly string[];
  /** What the migration did to rows of before, which stays done. */
  readonly stays: readonly string[];
  readonly sql: string;
}

/** The rollback of a migration, by the name graphile-migrate records; null where this release has none. Throws where it cannot be read. */
export function readRollback(filename: string): Rollback | null {
  const path = join(MIGRATIONS, "rollback", filename);
  if (!existsSync(path)) return null;
  const text = readFileSync(path, "utf8");
  const one = (name: string) => {
    const [value, ...others] = saysOf(text, name);
    if (!value || others.length > 0) throw new Error(`migrations/rollback/${filename} must say once: ${name}.`);
    return value;
  };
  return {
    number: filename.slice(0, 6),
    migration: one("Rolls back"),
    release_before: one("Release before"),
    lost: saysOf(text, "Lost").map(lossOf),
    derived: saysOf(text, "Derived"),
    stays: saysOf(text, "Stays"),
    sql: written(text, filename),
  };
}

/** What the lines `--! name: …` of a file say. */
function saysOf(text: string, name: string): string[] {
  return [...text.matchAll(new RegExp(`^--! ${name}: (.+)$`, "gm"))].map(([, value = ""]) => value);
}

function lossOf(said: string): Loss {
  const [, table, condition] = /^([a-z_]+\.[a-z_]+)(?: where (.+))?$/.exec(said) ?? [];
  if (!table) throw new Error(`Not a table, or a table and a condition: ${said}`);
  return { table, condition: condition ?? null };
}

/**
 * `--! Restore: x.sql` stands for what sql/x.sql said before the migration, which the committed files hold word for
 * word: nothing is copied by hand, and a committed file never changes.
 */
function written(text: string, filename: string): string {
  return text.replace(/^--! Restore: (.+)$/gm, (_, file: string) => {
    const included = new RegExp(
      `^--! Included ${RegExp.escape(file)}\\n([\\s\\S]*?)^--! EndIncluded ${RegExp.escape(file)}$`,
      "m",
    );
    const before = committedMigrations().filter((one) => one.filename < filename);
    for (const { file: name, body } of before.reverse()) {
      const held = included.exec(body)?.[1];
      if (held) return `-- sql/${file}, as of ${name}\n${held}`;
    }
    throw new Error(`No migration before ${filename} includes ${file}.`);
  });
}
