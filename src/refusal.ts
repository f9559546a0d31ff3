import { Problem } from "./problem.ts";

/** How a command ends, as scripts see it. `docs/operations.md` lists the same numbers. */
export const EXIT = {
  failed: 1,
  usage: 2,
  bad_config: 3,
  database_unreachable: 4,
  role_refused: 5,
  port_taken: 6,
  data_dir_held: 7,
  roles_missing: 8,
  newer_version: 9,
  no_space: 10,
  not_utf8: 11,
  leak_found: 12,
  audit_broken: 13,
  service_unreachable: 14,
  service_refused: 15,
  archive_broken: 16,
  import_incomplete: 17,
  schema_behind: 18,
  drifted: 19,
  backup_refused: 20,
  not_restorable: 21,
  undeclared_change: 22,
  lint_failed: 23,
  migration_failed: 24,
  would_overwrite: 25,
  owner_refused: 26,
  database_busy: 27,
  loss_not_accepted: 30,
  nothing_to_roll_back: 31,
  rollback_failed: 32,
} as const;

/** A command that cannot go on: one sentence for the person at the terminal, one code for the script. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  constructor(
    readonly exit: keyof typeof EXIT,
    message: string,
    cause?: unknown,
  ) {
    super(message, { cause });
  }
}

/** What an error says, for a sentence to a person at a terminal: there the cause may be told. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof Problem && error.cause !== undefined) return messageOf(error.cause);
  // An AggregateError of a refused connection has no text of its own.
  return error.message || ("code" in error ? String(error.code) : error.name);
}
