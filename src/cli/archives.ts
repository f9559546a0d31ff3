import { randomUUID } from "node:crypto";
import { type FileHandle, open, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { ZipFile } from "yazl";
import { FORMAT, FORMAT_VERSION, type Manifest } from "../backup/archive_schema.ts";
import { jsonIn } from "../backup/bytes.ts";
import { checkedBytes, checkedLines, manifestOf } from "../backup/manifest.ts";
import { type Archive, openArchive } from "../backup/zip.ts";
import { MAX_FILE_BYTES } from "../http/upload.ts";
import { Problem } from "../problem.ts";
import { messageOf, Refusal } from "../refusal.ts";

/** An archive on this machine, found to be what it says. */
export interface LocalArchive extends AsyncDisposable {
  readonly path: string;
  readonly bytes: number;
  /** Of the whole file, as `sha256sum` prints it. */
  readonly sha256: string;
  /** Null for an archive that is not ours: it says nothing of itself. */
  readonly manifest: Manifest | null;
  readonly archive: Archive;
}

/** Opens an archive and holds every member against its manifest. Throws a Refusal where it is damaged or cannot be read. */
export async function openLocal(path: string, looked: (bytes: number) => void = () => {}): Promise<LocalArchive> {
  const file = await open(path, "r").catch((error: unknown) => {
    throw new Refusal("usage", `${path} cannot be read: ${messageOf(error)}.`, error);
  });
  try {
    const archive = await openArchive(file.fd, { is_own: true });
    const manifest = archive.has("manifest.json") ? await manifestOf(archive) : null;
    let bytes = 0;
    for (const { name } of manifest?.members ?? [])
      for await (const chunk of manifest ? checkedBytes(archive, manifest, name) : []) {
        bytes += chunk.byteLength;
        looked(bytes);
      }
    const { size } = await file.stat();
    const sha256 = await digestOf(path);
    return { path, bytes: size, sha256, manifest, archive, [Symbol.asyncDispose]: () => file.close() };
  } catch (error) {
    await file.close();
    if (!(error instanceof Problem)) throw error;
    throw new Refusal("archive_broken", `${path}: ${error.detail}`, error);
  }
}

async function digestOf(path: string): Promise<string> {
  const sha256 = new Bun.CryptoHasher("sha256");
  for await (const chunk of Bun.file(path).stream()) sha256.update(chunk);
  return sha256.digest("hex");
}

/** Of one request: what a service takes at once, with room to spare. */
export const LIMITS = { memories: 20_000, bytes: 60_000_000 };

/** Whether a service takes an archive as it is, in one transaction. */
export const fitsOneRequest = ({ bytes, manifest }: LocalArchive, limits = LIMITS) =>
  bytes <= MAX_FILE_BYTES && (manifest === null || manifest.counts.memories <= limits.memories * 5);

/**
 * An archive of ours as several, one after the other, each small enough for one request; removed when the next is asked
 * for. What one memory says of another is found by its id, whichever part that came with.
 */
export async function* partsOf({ archive, manifest }: LocalArchive, limits = LIMITS) {
  if (!manifest) throw new Error("only archives of ours can be parted");
  const lines = checkedLines(archive, manifest, "memories.jsonl");
  let next = await lines.next();
  while (!next.done) {
    const part = partFile();
    let memories = 0;
    let bytes = 0;
    const taken = async function* () {
      for (; !next.done; next = await lines.next()) {
        const line = next.value.bytes;
        // Lines that go on with a history are for readers; an import passes them over.
        if (line === null || (jsonIn(line) as { continues?: unknown } | undefined)?.continues === true) continue;
        if (memories >= limits.memories || (bytes > 0 && bytes + line.length > limits.bytes)) return;
        memories++;
        bytes += line.length + 1;
        yield Buffer.concat([line, Buffer.from("\n")]);
      }
    };
    try {
      await part.write({ "memories.jsonl": taken() }, () => memories);
      if (memories > 0) yield { path: part.path, memories };
    } finally {
      await part.remove();
    }
  }
  if (!archive.has("graph.jsonl")) return;
  const part = partFile();
  try {
    const none = async function* (): AsyncGenerator<Uint8Array> {};
    const members = { "memories.jsonl": none(), "graph.jsonl": checkedBytes(archive, manifest, "graph.jsonl") };
    await part.write(members, () => 0);
    yield { path: part.path, memories: 0 };
  } finally {
    await part.remove();
  }
}

/** Parts lie here, for their owner alone, named by the process that made them. */
const PART = /^coding-brain-part-(\d+)-[\da-f-]{36}\.zip$/;

/** Removes the parts of imports that were killed. */
export async function sweepParts(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = PART.exec(name)?.[1];
    // Another user's, which cannot be removed, is not ours to look after.
    if (pid && !isRunning(Number(pid))) await rm(join(tmpdir(), name), { force: true }).catch(ignoreForeign);
  }
}

function ignoreForeign(error: NodeJS.ErrnoException) {
  if (error.code !== "EPERM" && error.code !== "EACCES") throw error;
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function partFile() {
  const path = join(tmpdir(), `coding-brain-part-${process.pid}-${randomUUID()}.zip`);
  return {
    path,
    async write(members: Record<string, AsyncGenerator<Uint8Array>>, memories: () => number) {
      const told: Manifest["members"] = [];
      const measured = async function* (name: string, chunks: AsyncGenerator<Uint8Array>) {
        const sha256 = new Bun.CryptoHasher("sha256");
        let bytes = 0;
        for await (const chunk of chunks) {
          sha256.update(chunk);
          bytes += chunk.byteLength;
          yield chunk;
        }
        told.push({ name, bytes, sha256: sha256.digest("hex") });
      };
      const manifest = async function* () {
        const counts = { memories: memories() };
        yield JSON.stringify({ format: FORMAT, version: FORMAT_VERSION, counts, members: told });
      };
      await writeZip(path, {
        ...Object.fromEntries(Object.entries(members).map(([name, chunks]) => [name, () => measured(name, chunks)])),
        "manifest.json": manifest,
      });
    },
    remove: () => rm(path, { force: true }),
  };
}

async function writeZip(path: string, members: Record<string, () => AsyncIterable<Uint8Array | string>>) {
  const zip = new ZipFile();
  const failed = Promise.withResolvers<never>();
  zip.on("error", failed.reject);
  for (const [name, chunks] of Object.entries(members))
    zip.addReadStreamLazy(name, {}, (give) => {
      const stream = Readable.from(chunks(), { objectMode: false }).on("error", failed.reject); // yazl does not listen
      give(null, stream);
    });
  zip.end();
  const file: FileHandle = await open(path, "wx", 0o600);
  try {
    const writing = (async () => {
      for await (const chunk of zip.outputStream) await file.writeFile(chunk as Buffer);
    })();
    await Promise.race([writing, failed.promise]);
  } finally {
    await file.close();
  }
}
