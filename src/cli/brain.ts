#!/usr/bin/env bun
import { Command, CommanderError } from "commander";
import { ConfigError } from "../config.ts";
import { EXIT, messageOf, Refusal } from "../refusal.ts";
import { VERSION } from "../version.ts";

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

/** Where each command is declared. Only the one that is asked for is loaded: all of them take longer than most have to do. */
const COMMANDS = new Map<string, () => Promise<(program: Command) => void>>([
  ["up", async () => (await import("./up.ts")).addUp],
  ["serve", async () => (await import("./serve.ts")).addServe],
  ["connect", async () => (await import("./connect.ts")).addConnect],
  ["token", async () => (await import("./token.ts")).addToken],
  ["migrate", async () => (await import("./migrate.ts")).addMigrate],
  ["status", async () => (await import("./status.ts")).addStatus],
  ["backup", async () => (await import("./backup.ts")).addBackup],
  ["restore", async () => (await import("./backup.ts")).addBackup],
  ["rollback", async () => (await import("./rollback.ts")).addRollback],
  ["export", async () => (await import("./export.ts")).addExport],
  ["import", async () => (await import("./import.ts")).addImport],
  ["verify", async () => (await import("./verify.ts")).addVerify],
  ["audit", async () => (await import("./verify.ts")).addVerify],
  ["leak-check", async () => (await import("./leak_check.ts")).addLeakCheck],
  ["doctor", async () => (await import("./doctor.ts")).addDoctor],
  ["env", async () => (await import("./env.ts")).addEnv],
  ["embeddings", async () => (await import("./embeddings.ts")).addEmbeddings],
  ["db", async () => (await import("./db.ts")).addDb],
]);
const asked = COMMANDS.get(process.argv[2] ?? "");
// For the list of what there is, and for a word that is no command, all of them.
const adding = await Promise.all((asked ? [asked] : [...COMMANDS.values()]).map((load) => load()));
for (const add of new Set(adding)) add(program);

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
