import type postgres from "postgres";
import { messageOf, Refusal } from "../refusal.ts";
import type { Migration } from "./committed.ts";

/**
 * Runs migrations one after the other in the transaction given, and records each the way graphile-migrate does. All or
 * none stay, as the transaction does. Throws a Refusal that names the file and the line, with the server's own error as
 * its cause.
 */
export async function applyMigrations(
  tx: postgres.ISql,
  migrations: readonly Migration[],
  progress: (file: string) => void = () => {},
): Promise<void> {
  await tx.unsafe(RECORDS).simple();
  for (const { filename, file, hash, previous_hash, body } of migrations) {
    progress(file);
    if (/^--!\s*no-transaction\b/.test(body))
      throw new Refusal(
        "migration_failed",
        `${file} wants no transaction, and then half of it could stay. Nothing was changed.`,
      );
    await tx
      .unsafe(body)
      .simple()
      .catch((error: unknown) => {
        throw new Refusal(
          "migration_failed",
          `${file} failed${placeOf(error, body)}, and nothing was changed: ${messageOf(error)}`,
          error,
        );
      });
    await tx`
      insert into graphile_migrate.migrations (hash, previous_hash, filename) values (${hash}, ${previous_hash}, ${filename})`;
  }
}

/** graphile-migrate 2.0.0-rc.3 makes the same; what it finds it leaves alone. */
const RECORDS = `
  create schema if not exists graphile_migrate;
  create table if not exists graphile_migrate.migrations (
    hash text primary key,
    previous_hash text references graphile_migrate.migrations,
    filename text not null,
    date timestamptz not null default now()
  );
  create table if not exists graphile_migrate.current (
    filename text primary key default 'current.sql',
    content text not null,
    date timestamptz not null default now()
  )`;

function placeOf(error: unknown, body: string): string {
  const { position } = error as { position?: string };
  if (!position) return "";
  return ` at line ${body.slice(0, Number(position)).split("\n").length} after its header`;
}
