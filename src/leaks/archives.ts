import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import yauzl from "yauzl";
import { ZipFile } from "yazl";
import { FORMAT, FORMAT_VERSION } from "../backup/archive_schema.ts";

/** An archive of ours with these lines, as a form to import. */
export async function formOf(lines: readonly object[]): Promise<FormData> {
  const content = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  const sha256 = new Bun.CryptoHasher("sha256").update(content).digest("hex");
  const members = [{ name: "memories.jsonl", bytes: Buffer.byteLength(content), sha256 }];
  const manifest = { format: FORMAT, version: FORMAT_VERSION, counts: { memories: lines.length }, members };
  const zip = new ZipFile();
  zip.addBuffer(Buffer.from(content), "memories.jsonl");
  zip.addBuffer(Buffer.from(JSON.stringify(manifest)), "manifest.json");
  zip.end();
  const bytes = Buffer.concat(await Readable.from(zip.outputStream).toArray());
  const form = new FormData();
  form.set("file", new File([new Uint8Array(bytes)], "archive.zip"));
  return form;
}

/** All that an archive has in it, as one text. */
export async function unpacked(archive: ArrayBuffer): Promise<string> {
  const zip = await yauzl.fromBufferPromise(Buffer.from(archive), { lazyEntries: true });
  const members: string[] = [];
  for await (const entry of zip.eachEntry())
    members.push(`${entry.fileName}\n${await text(await zip.openReadStreamPromise(entry))}`);
  return members.join("\n");
}
