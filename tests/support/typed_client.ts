import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "../..");
const MODULES = join(ROOT, "node_modules");

/**
 * Makes a client's types of a document, in a folder of its own, with the generator that docs/api.md names. It works with
 * TypeScript 5 and not with the 7 we compile with, so it gets a place where it finds the one it needs.
 */
export async function makeClientTypes(folder: string, document: string) {
  const modules = join(folder, "node_modules");
  mkdirSync(modules, { recursive: true });
  cpSync(join(MODULES, "openapi-typescript"), join(modules, "openapi-typescript"), { recursive: true });
  symlinkSync(join(MODULES, "typescript-5"), join(modules, "typescript"));
  for (const name of ["@redocly", "ansi-colors", "change-case", "parse-json", "supports-color", "yargs-parser"])
    symlinkSync(join(MODULES, name), join(modules, name));
  symlinkSync(join(MODULES, "openapi-fetch"), join(modules, "openapi-fetch"));
  symlinkSync(join(MODULES, "openapi-typescript-helpers"), join(modules, "openapi-typescript-helpers"));
  writeFileSync(join(folder, "openapi.json"), document);
  return run(folder, [join(modules, "openapi-typescript/bin/cli.js"), "openapi.json", "--output", "brain.ts"]);
}

/** Compiles the folder's files, strictly, with the TypeScript of this project. */
export function compile(folder: string) {
  const compilerOptions = {
    target: "ESNext",
    module: "Preserve",
    moduleResolution: "bundler",
    lib: ["ESNext", "DOM"],
    types: [],
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    allowImportingTsExtensions: true,
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
  return run(folder, [join(MODULES, "typescript/bin/tsc"), "-p", "."]);
}

async function run(cwd: string, args: string[]) {
  const command = Bun.spawn([process.execPath, ...args], { cwd, stdout: "pipe", stderr: "pipe" });
  const [code, out, err] = await Promise.all([
    command.exited,
    new Response(command.stdout).text(),
    new Response(command.stderr).text(),
  ]);
  return { code, said: out + err };
}
