import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { committedMigrations, readRollback } from "./rollback_file.ts";

const MIGRATIONS = join(import.meta.dir, "../../migrations");

/**
 * Writes migrations/rollback/<n>.sql for the first committed migration without one, for a person to finish: the pieces
 * of sql/ to be restored, and as comments what is to be undone by hand. Gives its path, or null where none is missing.
 */
export function draftRollback(): string | null {
  const migration = committedMigrations().find((name) => readRollback(name.slice(0, 6)) === null);
  if (!migration) return null;
  const path = join(MIGRATIONS, "rollback", `${migration.slice(0, 6)}.sql`);
  writeFileSync(path, draftOf(migration), { flag: "wx" });
  return path;
}

/** The text of a draft, from what the committed migrations say. */
export function draftOf(migration: string): string {
  const text = textOf(migration);
  const earlier = committedMigrations()
    .filter((name) => name < migration)
    .map(textOf)
    .join("\n");
  const included = [...text.matchAll(/^--! Included (.+)$/gm)].map(([, file = ""]) => file);
  const [known, made] = [true, false].map((is_known) =>
    included.filter((file) => earlier.includes(`\n--! Included ${file}\n`) === is_known),
  );
  const own = text.replace(/^--! Included (.+)\n[\s\S]*?^--! EndIncluded \1$/gm, "").replace(/^--!.*$/gm, "");
  return `--! Rolls back: ${migration}
--! Release before: ? ("runs", or "fails, as …")
--! Lost: ? (a table, or "a table where a condition"; a line each)
--! Derived: ? (a table or column that the migration makes anew from others; a line each)

-- Undo, last first:
${own
  .replace(/\n{2,}/g, "\n")
  .trim()
  .replace(/^/gm, "-- ")}

-- Drop what sql/ made and did not have before.${made?.map((file) => `\n-- All of ${file}.`).join("")}

${known?.map((file) => `--! Restore: ${file}\n`).join("")}`;
}

const textOf = (migration: string) => readFileSync(join(MIGRATIONS, "committed", migration), "utf8");
