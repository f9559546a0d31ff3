#!/usr/bin/env bun
import { Command, CommanderError } from "commander";
import { ConfigError } from "../config.ts";
import { EXIT, messageOf, Refusal } from "../refusal.ts";
import { VERSION } from "../version.ts";
import { addBackup } from "./backup.ts";
import { addConnect } from "./connect.ts";
import { addDb } from "./db.ts";
import { addDoctor } from "./doctor.ts";
import { addEmbeddings } from "./embeddings.ts";
import { addEnv } from "./env.ts";
import { addExport } from "./export.ts";
import { addImport } from "./import.ts";
import { addLeakCheck } from "./leak_check.ts";
import { addMigrate } from "./migrate.ts";
import { addRollback } from "./rollback.ts";
import { addServe } from "./serve.ts";
import { addStatus } from "./status.ts";
import { addToken } from "./token.ts";
import { addUp } from "./up.ts";
import { addVerify } from "./verify.ts";

const program = new Command("brain")
  .description("Long-term memory for teams of developers and their coding assistants.")
  .version(VERSION)
  .exitOverride()
  .showHelpAfterError("(--help lists what there is)")
  .addHelpText(
    "after",
    `\nExit codes: 0 done, ${Object.entries(EXIT)
      .map(([name, code]) => `${code} ${name.replaceAll("_", " ")}`)
      .join(", ")}.`,
  );

const COMMANDS = [
  addUp,
  addServe,
  addConnect,
  addToken,
  addMigrate,
  addStatus,
  addBackup,
  addRollback,
  addExport,
  addImport,
  addVerify,
  addLeakCheck,
  addDoctor,
  addEnv,
  addEmbeddings,
  addDb,
];
for (const add of COMMANDS) add(program);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}
// Whatever a pool or a timer still holds on to: the command has done what it was for, or will not.
process.exit(process.exitCode ?? 0);

/** Says what went wrong, in one sentence where it is a known way to fail, and gives the exit code. */
function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.usage; // it has said what
  if (error instanceof ConfigError) {
    console.error(error.message);
    return EXIT.bad_config;
  }
  // From wherever it comes: the files, SQLite's lock, initdb, the server's log, PostgreSQL itself (53100).
  if (/ENOSPC|SQLITE_FULL|No space left|disk is full/i.test(textOf(error))) {
    console.error("The disk is full; make room and start again.");
    return EXIT.no_space;
  }
  if (error instanceof Refusal) {
    console.error(error.message);
    return EXIT[error.exit];
  }
  console.error(messageOf(error));
  return EXIT.failed;
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return `${error.message} ${"code" in error ? String(error.code) : ""}`;
}
