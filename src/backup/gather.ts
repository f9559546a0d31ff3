import { malformed, tooLarge } from "../problem.ts";
import { elementsOf, jsonIn, linesOf, NotJson, type Piece } from "./bytes.ts";
import { checkedLines, MAX_PIECE_BYTES, manifestOf } from "./manifest.ts";
import { type ArchiveRecord, type Format, isReason, type Reading, recordFrom, type Said, saidFrom } from "./record.ts";
import type { SpoolFile } from "./spool.ts";
import { Tally } from "./tally.ts";
import type { Archive } from "./zip.ts";

export const MAX_MEMORIES = 100_000;
const MAX_SPACES = 1000;
const MAX_CATEGORIES = 10_000;

/** An archive, read to its end and checked piece by piece before anything of it is stored. */
export interface Gathered {
  readonly format: Format;
  /** What has been rejected so far. */
  readonly tally: Tally;
  /** Spaces that something is to go to. */
  readonly spaces: ReadonlySet<string>;
  records(): AsyncGenerator<ArchiveRecord>;
  said(): AsyncGenerator<Said>;
}

/**
 * Reads an archive of ours, of the earlier system or of mem0 OpenMemory. What may be stored is kept in `clean`, line by
 * line. Throws MALFORMED for an archive that is none of these or is not what its manifest says; TOO_LARGE.
 */
export async function gather(
  archive: Archive,
  where: Pick<Reading, "home" | "target">,
  clean: SpoolFile,
): Promise<Gathered> {
  const manifest = archive.has("manifest.json") ? await manifestOf(archive) : null;
  const format = manifest ? "coding-brain" : "earlier";
  const tally = new Tally();
  const spaces = new Set<string>();
  const ids = new Set<string>();
  const keep = async (value: ArchiveRecord | Said, access_entity: string) => {
    spaces.add(access_entity);
    if (spaces.size > MAX_SPACES) throw tooLarge(`An archive has memories of at most ${MAX_SPACES} spaces.`);
    await clean.write(Buffer.from(`${JSON.stringify(value)}\n`));
  };

  const reading: Reading = { ...where, format, categories: manifest ? new Map() : await categoriesOf(archive) };
  let count = 0;
  for await (const { number, bytes } of manifest
    ? checkedLines(archive, manifest, "memories.jsonl")
    : earlierPieces(archive)) {
    const made = recordFrom(number, bytes, reading);
    if (made === null) continue;
    if (++count > MAX_MEMORIES) throw tooLarge(`An archive has at most ${MAX_MEMORIES} memories; export it in parts.`);
    if (isReason(made)) tally.reject(made);
    else if (ids.has(made.old))
      tally.reject({ line: number, id: made.old, code: "CONFLICT", message: "has an id that was there before" });
    else {
      ids.add(made.old);
      await keep(made, made.row.access_entity);
    }
  }
  if (manifest && manifest.counts.memories !== count)
    throw malformed("The archive has another number of memories than its manifest says.");
  const records_end = clean.size();
  if (manifest && archive.has("graph.jsonl"))
    for await (const { number, bytes } of checkedLines(archive, manifest, "graph.jsonl")) {
      const made = saidFrom(number, bytes, reading);
      if (isReason(made)) tally.reject(made);
      else await keep(made, made.access_entity);
    }

  return {
    format,
    tally,
    spaces,
    records: () => parsed<ArchiveRecord>(clean.read(0, records_end)),
    said: () => parsed<Said>(clean.read(records_end)),
  };
}

async function* parsed<T>(chunks: AsyncGenerator<Uint8Array>): AsyncGenerator<T> {
  // What we have written ourselves.
  for await (const { bytes } of linesOf(chunks, Number.MAX_SAFE_INTEGER)) yield JSON.parse(String(bytes)) as T;
}

/** The memories of an archive that is not ours: by the lines of memories.jsonl.gz, else by the list in memories.json. */
async function* earlierPieces(archive: Archive): AsyncGenerator<Piece> {
  if (archive.has("memories.jsonl.gz")) yield* linesOf(archive.read("memories.jsonl.gz"), MAX_PIECE_BYTES);
  else if (archive.has("memories.json")) yield* elements(archive, "memories");
  else throw malformed("The archive has neither a manifest.json nor a memories.json or memories.jsonl.gz.");
}

/** What its categories are called, where the memories have only their ids. */
async function categoriesOf(archive: Archive): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  if (archive.has("memories.jsonl.gz") || !archive.has("memories.json")) return names;
  for await (const { bytes } of elements(archive, "categories")) {
    const { id, name } = ((bytes && jsonIn(bytes)) ?? {}) as { id?: unknown; name?: unknown };
    if (typeof id === "string" && typeof name === "string" && names.size < MAX_CATEGORIES) names.set(id, name);
  }
  return names;
}

async function* elements(archive: Archive, key: string): AsyncGenerator<Piece> {
  try {
    yield* elementsOf(archive.read("memories.json"), key, MAX_PIECE_BYTES);
  } catch (error) {
    throw error instanceof NotJson ? malformed("memories.json is not readable JSON.", error) : error;
  }
}
