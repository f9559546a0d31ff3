import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { committedMigrations, type Migration } from "./committed.ts";
import { MIGRATIONS } from "./migration_files.ts";
import { readRollback } from "./rollback_file.ts";

/**
 * Writes migrations/rollback/<n>.sql for the first committed migration without one, for a person to finish: the pieces
 * of sql/ to be restored, and as comments what is to be undone by hand. Gives its path, or null where none is missing.
 */
export function draftRollback(): string | null {
  const migration = committedMigrations().find(({ filename }) => readRollback(filename) === null);
  if (!migration) return null;
  const path = join(MIGRATIONS, "rollback", migration.filename);
  writeFileSync(path, draftOf(migration), { flag: "wx" });
  return path;
}

/** The text of a draft, from what the committed migrations say. */
export function draftOf({ file, filename, body }: Migration): string {
  const text = `\n${body}`;
  const earlier = committedMigrations()
    .filter((one) => one.filename < filename)
    .map((one) => `\n${one.body}`)
    .join("");
  const included = [...text.matchAll(/^--! Included (.+)$/gm)].map(([, file = ""]) => file);
  const [known, made] = [true, false].map((is_known) =>
    included.filter((name) => earlier.includes(`\n--! Included ${name}\n`) === is_known),
  );
  const own = text.replace(/^--! Included (.+)\n[\s\S]*?^--! EndIncluded \1$/gm, "").replace(/^--!.*$/gm, "");
  return `--! Rolls back: ${file}
--! Release before: ? ("runs", or "fails, as …")
--! Lost: ? (a table, or "a table where a condition"; a line each)
--! Derived: ? (a table or column that the migration makes anew from others; a line each)

-- Undo, last first:
${own
  .replace(/\n{2,}/g, "\n")
  .trim()
  .replace(/^/gm, "-- ")}

-- Drop what sql/ made and did not have before.${made?.map((name) => `\n-- All of ${name}.`).join("")}

${known?.map((name) => `--! Restore: ${name}\n`).join("")}`;
}
