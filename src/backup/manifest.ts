import { malformed, tooLarge } from "../problem.ts";
import { parse } from "../schema.ts";
import { FORMAT_VERSION, Manifest } from "./archive_schema.ts";
import { jsonIn, linesOf, type Piece } from "./bytes.ts";
import type { Archive } from "./zip.ts";

const MAX_MANIFEST_BYTES = 65_536;
/** A memory with its relations, events and a few megabytes of revisions. */
export const MAX_PIECE_BYTES = 16_777_216;

/** What an archive of ours says of itself. Throws MALFORMED, TOO_LARGE. */
export async function manifestOf(archive: Archive): Promise<Manifest> {
  const unknown = (cause?: unknown) => malformed("The archive's manifest.json is not one that is known here.", cause);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of archive.read("manifest.json")) {
    bytes += chunk.byteLength;
    if (bytes > MAX_MANIFEST_BYTES) throw tooLarge(`A manifest has at most ${MAX_MANIFEST_BYTES} bytes.`);
    chunks.push(chunk);
  }
  let manifest: Manifest;
  try {
    manifest = parse(Manifest, jsonIn(Buffer.concat(chunks)));
  } catch (error) {
    throw unknown(error);
  }
  if (manifest.version !== FORMAT_VERSION) throw unknown();
  return manifest;
}

/** The bytes of a member, which must be what the manifest says. Throws MALFORMED at their end. */
export async function* checkedBytes(archive: Archive, manifest: Manifest, name: string): AsyncGenerator<Uint8Array> {
  const told = manifest.members.find((member) => member.name === name);
  if (!told || !archive.has(name)) throw malformed(`The archive, or its manifest, has no ${name}.`);
  const sha256 = new Bun.CryptoHasher("sha256");
  let bytes = 0;
  for await (const chunk of archive.read(name)) {
    sha256.update(chunk);
    bytes += chunk.byteLength;
    yield chunk;
  }
  if (bytes !== told.bytes || sha256.digest("hex") !== told.sha256)
    throw malformed(`${name} is not what the archive's manifest says.`);
}

/** Its lines, likewise. */
export const checkedLines = (archive: Archive, manifest: Manifest, name: string): AsyncGenerator<Piece> =>
  linesOf(checkedBytes(archive, manifest, name), MAX_PIECE_BYTES);
