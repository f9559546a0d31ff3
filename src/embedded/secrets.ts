import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";

/** What the embedded mode makes up for itself, once. */
export interface Secrets {
  readonly superuser_password: string;
  readonly owner_password: string;
  readonly service_password: string;
  readonly jwt_secret: string;
}

const NAMES = ["superuser_password", "owner_password", "service_password", "jwt_secret"] as const;

/** Reads `secrets.json` of the data directory, made with mode 0600 at first. Throws where it cannot be read or written. */
export function loadSecrets(data_dir: string): Secrets {
  const file = join(data_dir, "secrets.json");
  const known = readIfThere(file);
  if (known !== undefined) {
    const secrets = JSON.parse(known) as Secrets;
    if (NAMES.every((name) => typeof secrets[name] === "string" && secrets[name].length >= 32)) return secrets;
    throw new Error(`${file} is not one this program wrote; put the right one back, or move the data directory away.`);
  }
  const secrets = Object.fromEntries(NAMES.map((name) => [name, newSecret()])) as Record<
    (typeof NAMES)[number],
    string
  >;
  writeDurably(file, `${JSON.stringify(secrets, null, 2)}\n`);
  return secrets;
}

const newSecret = () => Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Whole or not at all, also across a crash: the cluster's password is in there. */
function writeDurably(file: string, text: string) {
  const unfinished = `${file}.${process.pid}`;
  const fd = openSync(unfinished, "w", 0o600);
  writeSync(fd, text);
  fsyncSync(fd);
  closeSync(fd);
  renameSync(unfinished, file);
}
