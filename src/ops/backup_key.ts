import { closeSync, existsSync, fsyncSync, linkSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { makeFolder } from "../embedded/place.ts";
import { messageOf, Refusal } from "../refusal.ts";

/** What backups are sealed with, so that one nobody here has made is noticed. */
export interface BackupKey {
  readonly bytes: Buffer;
  /** Names the key in a backup and tells nothing of it. */
  readonly id: string;
}

export const BACKUP_KEY_FILE = "backup.key";
const KEY_BYTES = 32;

/** The key of a data directory, mode 0600, made at first. Two processes at once get the same. */
export function backupKeyOf(data_dir: string): BackupKey {
  makeFolder(data_dir);
  const file = join(data_dir, BACKUP_KEY_FILE);
  if (!existsSync(file)) publish(file, Buffer.from(crypto.getRandomValues(new Uint8Array(KEY_BYTES))).toString("hex"));
  return backupKeyFrom(file);
}

/** The key in a file, such as the one kept of a data directory that is gone. Throws a Refusal where it is none. */
export function backupKeyFrom(file: string): BackupKey {
  let text: string;
  try {
    text = readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new Refusal("bad_config", `The key of backups cannot be read: ${messageOf(error)}.`, error);
  }
  if (!/^[\da-f]{64}$/.test(text))
    throw new Refusal("bad_config", `${file} is no key of backups; put back the one that was there.`);
  const bytes = Buffer.from(text, "hex");
  return {
    bytes,
    id: new Bun.CryptoHasher("sha256").update(`coding-brain backup key ${text}`).digest("hex").slice(0, 16),
  };
}

/** Whole or not at all, and never over another's. */
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
