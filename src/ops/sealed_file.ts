import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { BackupKey } from "./backup_key.ts";

/**
 * A zip archive whose comment holds an HMAC over every byte before it: other programs open it, and no bit of it can
 * change unnoticed. Its last record is 22 bytes, of which the last two say how long the comment is.
 */
const LAST_RECORD_BYTES = 22;
const LAST_RECORD = Buffer.from([0x50, 0x4b, 5, 6]);
const MARK = "hmac-sha256:";
const SEAL_BYTES = MARK.length + 64;

/** What a file is found to be. `cut`: it begins as an archive and does not end as a sealed one. */
export type Seal = "whole" | "broken" | "cut" | "foreign" | "empty";

const hmac = (key: BackupKey) => new Bun.CryptoHasher("sha256", key.bytes);

/**
 * Writes a zip archive, sealed, under a name it gets when it is whole and on disk; 0600. Throws what the chunks and the
 * disk throw, and leaves nothing behind then; after `kill -9` a file whose name ends in `.unfinished`. Gives its size.
 */
export async function writeSealed(path: string, chunks: AsyncIterable<Uint8Array>, key: BackupKey): Promise<number> {
  const unfinished = unfinishedName(path);
  const file = await open(unfinished, "wx", 0o600);
  try {
    const seal = hmac(key);
    let bytes = 0;
    const put = async (chunk: Uint8Array) => {
      seal.update(chunk);
      bytes += chunk.byteLength;
      await file.writeFile(chunk);
    };
    let held = Buffer.alloc(0);
    for await (const chunk of chunks) {
      const all = Buffer.concat([held, chunk]);
      const whole = Math.max(0, all.length - LAST_RECORD_BYTES);
      if (whole > 0) await put(all.subarray(0, whole));
      held = all.subarray(whole);
    }
    if (!held.subarray(0, 4).equals(LAST_RECORD)) throw new Error("the archive does not end as a zip archive does");
    held.writeUInt16LE(SEAL_BYTES, LAST_RECORD_BYTES - 2);
    await put(held);
    await file.writeFile(`${MARK}${seal.digest("hex")}`);
    await file.sync();
    await file.close();
    await rename(unfinished, path);
    await syncFolder(dirname(path));
    return bytes + SEAL_BYTES;
  } catch (error) {
    await file.close().catch(() => {}); // closed before, or the disk that failed
    await rm(unfinished, { force: true });
    throw error;
  }
}

const unfinishedName = (path: string) => join(dirname(path), `.${basename(path)}.${process.pid}.unfinished`);
/** Whether a file in a folder of backups was left by a command that was killed. */
export const isUnfinished = (name: string) => /^\..*\.\d+\.unfinished$/.test(name);

async function syncFolder(folder: string) {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Reads a whole file and tells what it is; without a key, whether it ends as it should. Throws what the disk throws. */
export async function sealOf(path: string, key: BackupKey | null): Promise<Seal> {
  const file = Bun.file(path);
  const { size } = file;
  if (size === 0) return "empty";
  const from = Math.max(0, size - SEAL_BYTES - LAST_RECORD_BYTES);
  const end = Buffer.from(await file.slice(from).arrayBuffer());
  const is_whole =
    end.length === SEAL_BYTES + LAST_RECORD_BYTES &&
    end.subarray(0, 4).equals(LAST_RECORD) &&
    end.readUInt16LE(LAST_RECORD_BYTES - 2) === SEAL_BYTES &&
    end.subarray(LAST_RECORD_BYTES, LAST_RECORD_BYTES + MARK.length).toString("latin1") === MARK;
  if (!is_whole) {
    const begin = Buffer.from(await file.slice(0, 4).arrayBuffer());
    return begin.equals(Buffer.from([0x50, 0x4b, 3, 4])) ? "cut" : "foreign";
  }
  if (!key) return "whole";
  const seal = hmac(key);
  for await (const chunk of file.slice(0, size - SEAL_BYTES).stream()) seal.update(chunk);
  const found = end.subarray(LAST_RECORD_BYTES + MARK.length).toString("latin1");
  return found === seal.digest("hex") ? "whole" : "broken";
}
