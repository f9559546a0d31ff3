import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { calculateHash } from "graphile-migrate/dist/hash.js";
import { parseMigrationText } from "graphile-migrate/dist/migration.js";
import { Refusal } from "../refusal.ts";
import { COMMITTED, MIGRATIONS, migrationFilesIn, recordedAs } from "./migration_files.ts";

const LIVING = join(MIGRATIONS, "fixtures");

/** A committed migration of this release. */
export interface Migration {
  /** As graphile-migrate records it: six digits and `.sql`. */
  readonly filename: string;
  /** As it lies in the folder: with what it is about. */
  readonly file: string;
  readonly hash: string;
  readonly previous_hash: string | null;
  readonly body: string;
}

/**
 * All of them, oldest first, by graphile-migrate's own reading and hashing: what one runs the other takes for its own.
 * Throws a Refusal that names a file whose text is not what was committed, or whose place in the chain is not.
 */
export function committedMigrations(folder = COMMITTED): Migration[] {
  let previous: Migration | undefined;
  return migrationFilesIn(folder).map((file) => {
    const { headers, body } = parseMigrationText(file, readFileSync(join(folder, file), "utf8"));
    const previous_hash = previous?.hash ?? null;
    const hash = headers.Hash ?? "";
    if ((headers.Previous === "-" ? null : headers.Previous) !== previous_hash)
      throw drifted([`migrations/committed/${file} does not follow ${previous?.file ?? "nothing"}`]);
    if (calculateHash(body, previous_hash) !== hash) throw drifted([`migrations/committed/${file} was edited`]);
    previous = { filename: recordedAs(file), file, hash, previous_hash, body };
    return previous;
  });
}

/** What in `sql/` is not in any committed migration as it stands there, as sentences. */
export function uncommitted(migrations: readonly Migration[]): string[] {
  const names = readdirSync(LIVING).filter((name) => name.endsWith(".sql") && name !== "all.sql");
  return names.sort().flatMap((name) => {
    const last = migrations.findLast(({ body }) => body.includes(`\n--! Included ${name}\n`));
    if (!last) return [`sql/${name} is in no committed migration`];
    const [begin, end] = [`\n--! Included ${name}\n`, `\n--! EndIncluded ${name}`];
    const from = last.body.lastIndexOf(begin) + begin.length;
    const committed = last.body.slice(from, last.body.indexOf(end, from));
    const living = readFileSync(join(LIVING, name), "utf8").trim();
    return committed === living ? [] : [`sql/${name} was edited since ${last.file} took it in`];
  });
}

const MOST_TOLD = 20;

/** The refusal for what is not as it was committed, applied or recorded. */
export function drifted(what: readonly string[]): Refusal {
  const more = what.length > MOST_TOLD ? `\n  and ${what.length - MOST_TOLD} more` : "";
  return new Refusal(
    "drifted",
    `The schema has drifted; nothing was changed:\n${what
      .slice(0, MOST_TOLD)
      .map((one) => `  ${one}`)
      .join("\n")}${more}\nSee "Drift" in docs/operations.md.`,
  );
}
