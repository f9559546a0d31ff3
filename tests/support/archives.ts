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
