import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { type Entry, fromFdPromise, type ZipFile } from "yauzl";
import { malformed, Problem, tooLarge } from "../problem.ts";

/** Ours have four members, the earlier system's two. */
const MAX_MEMBERS = 64;
/** Of all members that are read, together. */
const MAX_EXPANDED_BYTES = 1_073_741_824;
/** How many bytes one compressed byte may become, beyond the first mebibyte. Text of memories comes to 3 to 20. */
const MAX_RATIO = 200;
const FREE_BYTES = 1_048_576;
const STORED = 0;
const DEFLATED = 8;

const unreadable = (cause?: unknown) => malformed("The file is not a readable zip archive.", cause);

/** An archive that was opened: nothing of it is taken out but what is read by name, and nothing is written to a name of it. */
export interface Archive {
  has(name: string): boolean;
  /** The bytes of a member, by its name without the folders it is in; of a .gz what is in it. Throws MALFORMED, TOO_LARGE. */
  read(name: string): AsyncGenerator<Uint8Array>;
}

/**
 * Opens a zip file and looks at its list of members. Throws MALFORMED for names that lead elsewhere, members that are
 * encrypted, packed in another way or there twice; TOO_LARGE for too many. `is_own` lifts the limits on what comes out.
 */
export async function openArchive(fd: number, { is_own = false } = {}): Promise<Archive> {
  const zip = await fromFdPromise(fd, { lazyEntries: true, autoClose: false, strictFileNames: true }).catch(
    (error: unknown) => {
      throw unreadable(error);
    },
  );
  if (!is_own && zip.entryCount > MAX_MEMBERS) throw tooLarge(`An archive has at most ${MAX_MEMBERS} members.`);
  const members = new Map<string, Entry>();
  for (const entry of await entriesOf(zip)) {
    if (entry.fileName.endsWith("/")) continue;
    const name = entry.fileName.slice(entry.fileName.lastIndexOf("/") + 1);
    if (entry.isEncrypted()) throw malformed("The archive has an encrypted member.");
    if (entry.compressionMethod !== STORED && entry.compressionMethod !== DEFLATED)
      throw malformed("The archive has a member that is neither stored nor deflated.");
    if (members.has(name)) throw malformed("The archive has two members of one name.");
    members.set(name, entry);
  }

  let expanded = 0;
  /** Counts what comes out, so that no declared size has to be believed. */
  const bounded = (packed: number) => {
    let bytes = 0;
    return (chunk: Uint8Array) => {
      bytes += chunk.byteLength;
      expanded += chunk.byteLength;
      if (is_own) return;
      if (expanded > MAX_EXPANDED_BYTES)
        throw tooLarge(`What is read of an archive has at most ${MAX_EXPANDED_BYTES} bytes.`);
      if (bytes > FREE_BYTES + packed * MAX_RATIO)
        throw tooLarge(`A member expands to at most ${MAX_RATIO} times its packed size.`);
    };
  };

  async function* unpacked(entry: Entry): AsyncGenerator<Uint8Array> {
    const count = bounded(entry.compressedSize);
    let sum = 0;
    const stream = await zip.openReadStreamPromise(entry);
    try {
      for await (const chunk of stream) {
        count(chunk);
        sum = Bun.hash.crc32(chunk, sum);
        yield chunk;
      }
    } finally {
      stream.destroy();
    }
    if (sum !== entry.crc32) throw malformed("A member of the archive is damaged: its checksum does not fit.");
  }

  return {
    has: (name) => members.has(name),
    async *read(name) {
      const entry = members.get(name);
      if (!entry) throw new Error(`the archive has no member ${name}`);
      try {
        yield* name.endsWith(".gz") ? gunzipped(unpacked(entry), bounded(entry.uncompressedSize)) : unpacked(entry);
      } catch (error) {
        throw error instanceof Problem ? error : malformed("A member of the archive cannot be unpacked.", error);
      }
    },
  };
}

async function entriesOf(zip: ZipFile): Promise<Entry[]> {
  const entries: Entry[] = [];
  try {
    for await (const entry of zip.eachEntry()) entries.push(entry);
  } catch (error) {
    throw unreadable(error);
  }
  return entries;
}

async function* gunzipped(packed: AsyncGenerator<Uint8Array>, count: (chunk: Uint8Array) => void) {
  const source = Readable.from(packed, { objectMode: false });
  const plain = createGunzip();
  source.on("error", (error) => plain.destroy(error));
  source.pipe(plain);
  try {
    for await (const chunk of plain) {
      count(chunk);
      yield chunk as Uint8Array;
    }
  } finally {
    source.destroy();
    plain.destroy();
  }
}
