import { Readable } from "node:stream";
import { ZipFile } from "yazl";
import type { Caller, Tx } from "../db.ts";
import { ANY, type Filter, instantFrom } from "../memories/filter.ts";
import { STATES } from "../memories/schema.ts";
import { type FieldError, invalidInput } from "../problem.ts";
import { VERSION } from "../version.ts";
import { FORMAT, FORMAT_VERSION } from "./archive_schema.ts";
import { earlierShape } from "./earlier_shape.ts";
import {
  aliasesOf,
  type ExportedMemory,
  type ExportedRevision,
  eventsOf,
  idsOf,
  memoriesOf,
  relationsOf,
  revisionsOf,
} from "./read.ts";
import type { ExportRequest } from "./schema.ts";
import type { Spool, SpoolFile } from "./spool.ts";

/** An export reads its snapshot for at most this long. */
const MAX_SECONDS = 900;
/** Revisions in one line; what is more goes into further lines. */
const MAX_REVISION_BYTES = 4_194_304;

/** What an archive has in it, and how much. */
interface Counts {
  memories: number;
  revisions: number;
  relations: number;
  events: number;
  aliases: number;
}

/**
 * Writes what the caller sees and the request asks for into an archive, as it was at one moment. The file is the
 * caller's to close. Throws INVALID_INPUT, UNAVAILABLE where it takes longer than 15 minutes.
 */
export async function exportMemories(caller: Caller, request: ExportRequest, spool: Spool): Promise<SpoolFile> {
  const filter = filterFrom(request);
  const file = await spool.file();
  try {
    await caller.snapshot(MAX_SECONDS, async (tx) => {
      await file.empty(); // the work may run again
      await writeArchive(caller, tx, request, filter, file);
    });
    return file;
  } catch (error) {
    await file[Symbol.asyncDispose]();
    throw error;
  }
}

function filterFrom(request: ExportRequest): Filter {
  const errors: FieldError[] = [];
  for (const [one, several] of [
    ["access_entity", "access_entities"],
    ["app_id", "app_ids"],
    ["category", "categories"],
  ] as const)
    if (request[one] !== undefined && request[several] !== undefined)
      errors.push({ at: one, message: `goes without ${several}` });
  const { access_entity, access_entities = null, app_id, app_ids = null, category, categories = null } = request;
  const moment = (at: "from_date" | "to_date") =>
    instantFrom(request[at] === undefined ? undefined : String(request[at]), at, errors);
  const filter: Filter = {
    ...ANY,
    states: request.states ?? [...STATES],
    access_entities: access_entity === undefined ? access_entities : [access_entity],
    app_ids: app_id === undefined ? app_ids : [app_id],
    categories: category === undefined ? categories : [category],
    from_date: moment("from_date"),
    to_date: moment("to_date"),
  };
  if (errors.length > 0) throw invalidInput(errors);
  return filter;
}

/** What is said by no memory is in an archive of whole spaces only. */
const isOfWholeSpaces = ({ app_ids, categories, from_date, to_date, states }: Filter) =>
  app_ids === null && categories === null && from_date === null && to_date === null && states.length === STATES.length;

async function writeArchive(caller: Caller, tx: Tx, request: ExportRequest, filter: Filter, file: SpoolFile) {
  const ids = await idsOf(tx, filter);
  const counts: Counts = { memories: 0, revisions: 0, relations: 0, events: 0, aliases: 0 };
  const members: { name: string; bytes: number; sha256: string }[] = [];
  const { include_vectors: _, ...asked } = request;

  const measured = async function* (name: string, texts: AsyncIterable<string>) {
    const sha256 = new Bun.CryptoHasher("sha256");
    let bytes = 0;
    for await (const text of texts) {
      const chunk = Buffer.from(text);
      sha256.update(chunk);
      bytes += chunk.byteLength;
      yield chunk;
    }
    members.push({ name, bytes, sha256: sha256.digest("hex") });
  };
  const manifest = async function* () {
    const said = { format: FORMAT, version: FORMAT_VERSION, generator: `coding-brain ${VERSION}` };
    const { org, sub } = caller;
    yield JSON.stringify(
      { ...said, generated_at: new Date().toISOString(), org, user: sub, filter: asked, counts, members },
      null,
      2,
    );
  };

  const zip = new ZipFile();
  const failed = Promise.withResolvers<never>();
  zip.on("error", failed.reject);
  const add = (name: string, chunks: () => AsyncIterable<Uint8Array | string>) =>
    zip.addReadStreamLazy(name, {}, (give) => {
      // yazl listens to no errors of what it reads, and one that nobody hears ends the process.
      const stream = Readable.from(chunks(), { objectMode: false }).on("error", failed.reject);
      give(null, stream);
    });
  add("memories.jsonl", () => measured("memories.jsonl", memoryLines(tx, ids, counts)));
  if (isOfWholeSpaces(filter))
    add("graph.jsonl", () => measured("graph.jsonl", graphLines(tx, filter.access_entities, counts)));
  add("memories.json", () => measured("memories.json", earlierShape(caller, memoriesOf(tx, ids, true), asked)));
  add("manifest.json", manifest);
  zip.end();

  const writing = (async () => {
    for await (const chunk of zip.outputStream) await file.write(chunk as Buffer);
  })();
  // What was to be written would wait for the rest for good. Its type says less than it is: a PassThrough.
  await Promise.race([writing, failed.promise]).finally(() => (zip.outputStream as Readable).destroy());
}

/** A line for each memory; where its earlier revisions do not fit, more lines that have only these. */
async function* memoryLines(tx: Tx, ids: Buffer, counts: Counts): AsyncGenerator<string> {
  for await (const memories of memoriesOf(tx, ids)) {
    const changed = memories.filter(({ revision }) => revision > 1).map(({ id }) => id);
    const revisions = oneByOne(tx, changed);
    let next = (await revisions.next()).value;
    for (const memory of memories) {
      counts.memories++;
      counts.relations += memory.relations.length;
      counts.events += memory.events.length;
      let head: ExportedMemory | { id: string; continues: true } = memory;
      let texts: string[] = [];
      let length = 0;
      for (; next?.memory_id === memory.id; next = (await revisions.next()).value) {
        const { memory_id: _, fields, ...revision } = next;
        const text = JSON.stringify({ ...revision, ...(fields as object) });
        const bytes = Buffer.byteLength(text);
        if (length > 0 && length + bytes > MAX_REVISION_BYTES) {
          yield lineOf(head, texts);
          head = { id: memory.id, continues: true };
          [texts, length] = [[], 0];
        }
        texts.push(text);
        length += bytes;
        counts.revisions++;
      }
      yield lineOf(head, texts);
    }
  }
}

const lineOf = (head: object, revisions: string[]) =>
  `${JSON.stringify(head).slice(0, -1)},"revisions":[${revisions.join()}]}\n`;

async function* oneByOne(tx: Tx, ids: string[]): AsyncGenerator<ExportedRevision & { memory_id: string }, undefined> {
  if (ids.length === 0) return;
  for await (const rows of revisionsOf(tx, ids)) yield* rows;
}

/** What is said of entities by no memory, and which names are one. */
async function* graphLines(tx: Tx, spaces: readonly string[] | null, counts: Counts): AsyncGenerator<string> {
  const is_wanted = (access_entity: string) => spaces === null || spaces.includes(access_entity);
  for await (const rows of relationsOf(tx, null).cursor(1000))
    for (const { memory_id: _, ...relation } of rows)
      if (is_wanted(relation.access_entity)) {
        counts.relations++;
        yield `${JSON.stringify({ kind: "relation", ...relation })}\n`;
      }
  for await (const rows of eventsOf(tx, null).cursor(1000))
    for (const { memory_id: _, ...event } of rows)
      if (is_wanted(event.access_entity)) {
        counts.events++;
        yield `${JSON.stringify({ kind: "event", ...event })}\n`;
      }
  for await (const rows of aliasesOf(tx).cursor(1000))
    for (const alias of rows)
      if (is_wanted(alias.access_entity)) {
        counts.aliases++;
        yield `${JSON.stringify({ kind: "alias", ...alias })}\n`;
      }
}
