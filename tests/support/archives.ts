import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import yauzl from "yauzl";
import { ZipFile } from "yazl";
import { type Person, tokenFor, type World } from "./world.ts";

/** What a zip archive has in it, by name. */
export async function membersOf(archive: Uint8Array): Promise<Record<string, string>> {
  const zip = await yauzl.fromBufferPromise(Buffer.from(archive), { lazyEntries: true });
  const members: Record<string, string> = {};
  for await (const entry of zip.eachEntry())
    members[entry.fileName] = await text(await zip.openReadStreamPromise(entry));
  return members;
}

/** A zip archive of these members. */
export async function archiveOf(members: Record<string, string | Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const zip = new ZipFile();
  for (const [name, content] of Object.entries(members)) zip.addBuffer(Buffer.from(content), name);
  zip.end();
  return new Uint8Array(Buffer.concat(await Readable.from(zip.outputStream).toArray()));
}

/** An archive of ours with these lines, and the manifest they need. */
export async function ourArchive(lines: readonly (object | string)[], more: Record<string, string> = {}) {
  const told = lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`).join("");
  const members: Record<string, string> = { "memories.jsonl": told, ...more };
  const manifest = {
    format: "coding-brain",
    version: 1,
    counts: { memories: lines.length },
    members: Object.entries(members).map(([name, content]) => ({
      name,
      bytes: Buffer.byteLength(content),
      sha256: new Bun.CryptoHasher("sha256").update(content).digest("hex"),
    })),
  };
  return archiveOf({ ...members, "manifest.json": JSON.stringify(manifest) });
}

/** An archive of ours with these lines as they are, made at once: its members are stored, not packed. */
export function archiveOfLines(lines: readonly Buffer[]): Buffer {
  const content = Buffer.concat(lines.flatMap((line) => [line, Buffer.from("\n")]));
  const sha256 = new Bun.CryptoHasher("sha256").update(content).digest("hex");
  const members = [{ name: "memories.jsonl", bytes: content.length, sha256 }];
  const manifest = { format: "coding-brain", version: 1, counts: { memories: lines.length }, members };
  return storedZip({ "memories.jsonl": content, "manifest.json": Buffer.from(JSON.stringify(manifest)) });
}

function storedZip(members: Record<string, Buffer>): Buffer {
  const [locals, entries]: Buffer[][] = [[], []];
  let offset = 0;
  for (const [name, content] of Object.entries(members)) {
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt32LE(Bun.hash.crc32(content), 10);
    fields.writeUInt32LE(content.length, 14);
    fields.writeUInt32LE(content.length, 18);
    fields.writeUInt16LE(name.length, 22);
    locals?.push(Buffer.from("PK\x03\x04"), fields, Buffer.from(name), content);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(offset, 10);
    entries?.push(Buffer.from("PK\x01\x02\x14\0"), fields, place, Buffer.from(name));
    offset += 30 + name.length + content.length;
  }
  const directory = Buffer.concat(entries ?? []);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(Object.keys(members).length, 4);
  end.writeUInt16LE(Object.keys(members).length, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...(locals ?? []), directory, Buffer.from("PK\x05\x06"), end]);
}

/** Backups as a person. */
export function backups(world: World, person: Person) {
  const headers = async () => ({ authorization: `Bearer ${await tokenFor(person)}` });
  return {
    async export(request: object = {}): Promise<Uint8Array<ArrayBuffer>> {
      const response = await world.app.handle(
        new Request("http://localhost/api/v1/backup/export", {
          method: "POST",
          headers: { ...(await headers()), "content-type": "application/json" },
          body: JSON.stringify(request),
        }),
      );
      if (response.status !== 200)
        throw new Error(`an export was answered ${response.status} ${await response.text()}`);
      return new Uint8Array(await response.arrayBuffer());
    },
    async import(archive: Uint8Array<ArrayBuffer>, query = "") {
      const body = new FormData();
      body.set("file", new File([archive], "archive.zip"));
      const { status, body: report } = await world.raw(`/api/v1/backup/import${query}`, {
        method: "POST",
        headers: await headers(),
        body,
      });
      return { status, body: report };
    },
  };
}
