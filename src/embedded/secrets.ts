import { closeSync, existsSync, fsyncSync, linkSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Refusal } from "../refusal.ts";

/** What the embedded mode makes up for itself, once. */
export interface Secrets {
  readonly superuser_password: string;
  readonly owner_password: string;
  readonly service_password: string;
  readonly jwt_secret: string;
}

export const SECRETS_FILE = "secrets.json";

const NAMES = ["superuser_password", "owner_password", "service_password", "jwt_secret"] as const;

/**
 * Reads `secrets.json` of the data directory, made with mode 0600 at first. Whoever is first decides: two processes
 * that start at once get the same. Throws where it cannot be read or written.
 */
export function loadSecrets(data_dir: string): Secrets {
  const file = join(data_dir, SECRETS_FILE);
  if (!existsSync(file)) publish(file, JSON.stringify(Object.fromEntries(NAMES.map((name) => [name, newSecret()]))));
  const secrets = parsed(readFileSync(file, "utf8"));
  if (!secrets)
    throw new Refusal("bad_config", `${file} is not what this program wrote; put it back, or move the folder away.`);
  return secrets;
}

function parsed(text: string): Secrets | undefined {
  try {
    const secrets = JSON.parse(text) as Partial<Secrets> | null;
    return NAMES.every((name) => (secrets?.[name]?.length ?? 0) >= 32) ? (secrets as Secrets) : undefined;
  } catch {
    return undefined; // no JSON
  }
}

const newSecret = () => Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");

/** Whole or not at all, and never over another's: the cluster is made with the password in there. */
function publish(file: string, text: string) {
  const unfinished = `${file}.${process.pid}`;
  const fd = openSync(unfinished, "w", 0o600);
  writeSync(fd, `${text}\n`);
  fsyncSync(fd);
  closeSync(fd);
  try {
    linkSync(unfinished, file);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  } finally {
    rmSync(unfinished);
  }
}
