import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { archiveOf, backups, ourArchive } from "../support/archives.ts";
import { ada, DATA_DIR, openWorld, tokenFor, type World } from "../support/world.ts";

/** Archives made to do harm. Each is refused as a whole, and nothing of it is stored or left on the disk. */
let world: World;
beforeAll(async () => {
  world = await openWorld();
  await world.api(ada).post("/memories", { content: "the only one" });
});
afterAll(() => world.close());

const LINE = JSON.stringify({ id: crypto.randomUUID(), content: "smuggled" });
const good = () => ourArchive([LINE]);
type Bytes = Uint8Array<ArrayBuffer>;

/** The archive with some bytes of it written over, wherever they stand. */
function written(archive: Bytes, from: string | Buffer, to: string | Buffer): Bytes {
  const bytes = Buffer.from(archive);
  const wanted = Buffer.from(from);
  let found = 0;
  for (let at = bytes.indexOf(wanted); at !== -1; at = bytes.indexOf(wanted, at + 1), found++)
    bytes.set(Buffer.from(to), at);
  if (found === 0) throw new Error("there is nothing to write over");
  return new Uint8Array(bytes);
}

/** A field of the first entry of the central directory, changed. */
function inDirectory(archive: Bytes, offset: number, bytes: number[]): Bytes {
  const changed = new Uint8Array(archive);
  const entry = Buffer.from(changed.buffer).indexOf(Buffer.from("PK\x01\x02"));
  changed.set(bytes, entry + offset);
  return changed;
}
const [FLAGS, METHOD, CRC, SIZE] = [8, 10, 16, 24];

const gz = (text: string | Buffer) => gzipSync(text, { level: 9 });
/** Manifests that differ from what is there. */
const lying = async (
  change: (manifest: Record<string, never>) => void,
  members: Record<string, string> = { "memories.jsonl": `${LINE}\n` },
) => {
  const sums = Object.entries(members).map(([name, content]) => ({
    name,
    bytes: content.length,
    sha256: new Bun.CryptoHasher("sha256").update(content).digest("hex"),
  }));
  const manifest = { format: "coding-brain", version: 1, counts: { memories: 1 }, members: sums };
  change(manifest as never);
  return archiveOf({ ...members, "manifest.json": JSON.stringify(manifest) });
};
const bomb = Buffer.concat([Buffer.from('{"memories":['), Buffer.alloc(300_000_000, 32), Buffer.from("]}")]);

const HOSTILE: [what: string, archive: () => Bytes | Promise<Bytes>, code: string][] = [
  ["nothing", () => new Uint8Array(), "MALFORMED"],
  ["no zip", () => new Uint8Array(Buffer.from("memories")), "MALFORMED"],
  ["half a zip", async () => (await good()).slice(0, 200), "MALFORMED"],
  ["a zip without members", () => archiveOf({}), "MALFORMED"],
  [
    "a name that leads up",
    async () => written(await archiveOf({ "aa/memories.json": "{}" }), "aa/memories", "../memories"),
    "MALFORMED",
  ],
  [
    "an absolute name",
    async () => written(await archiveOf({ "a/memories.json": "{}" }), "a/memories", "//memories"),
    "MALFORMED",
  ],
  [
    "a name with a drive",
    async () => written(await archiveOf({ "ab/memories.json": "{}" }), "ab/", "c:/"),
    "MALFORMED",
  ],
  ["an encrypted member", async () => inDirectory(await good(), FLAGS, [9, 8]), "MALFORMED"],
  ["a way of packing we do not know", async () => inDirectory(await good(), METHOD, [12, 0]), "MALFORMED"],
  ["a false checksum", async () => inDirectory(await good(), CRC, [1, 2, 3, 4]), "MALFORMED"],
  ["a size that is too small", async () => inDirectory(await good(), SIZE, [1, 0, 0, 0]), "MALFORMED"],
  ["a size that is too large", async () => inDirectory(await good(), SIZE, [255, 255, 255, 0]), "MALFORMED"],
  [
    "two members of one name",
    () => archiveOf({ "a/memories.json": '{"memories":[]}', "b/memories.json": '{"memories":[]}' }),
    "MALFORMED",
  ],
  ["another zip inside", async () => archiveOf({ "memories.zip": await good() }), "MALFORMED"],
  [
    "too many members",
    () => archiveOf(Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`${index}/x`, ""]))),
    "TOO_LARGE",
  ],
  ["a bomb", () => archiveOf({ "memories.json": bomb }), "TOO_LARGE"],
  ["a bomb in a bomb", () => archiveOf({ "memories.jsonl.gz": gz(bomb) }), "TOO_LARGE"],
  ["a .gz that is none", () => archiveOf({ "memories.jsonl.gz": "plain" }), "MALFORMED"],
  [
    "a .gz that ends early",
    () => archiveOf({ "memories.jsonl.gz": gz("x".repeat(100_000)).subarray(0, 60) }),
    "MALFORMED",
  ],
  ["a document that ends early", () => archiveOf({ "memories.json": '{"memories":[{"id":"' }), "MALFORMED"],
  ["a document that is a list", () => archiveOf({ "memories.json": "[]" }), "MALFORMED"],
  ["a document with something after it", () => archiveOf({ "memories.json": "{} {}" }), "MALFORMED"],
  ["a million brackets", () => archiveOf({ "memories.json": "[{".repeat(500_000) }), "MALFORMED"],
  [
    "a manifest of another format",
    () => lying((manifest) => Object.assign(manifest, { format: "brain" })),
    "MALFORMED",
  ],
  ["a manifest of a later version", () => lying((manifest) => Object.assign(manifest, { version: 2 })), "MALFORMED"],
  ["a manifest that is no JSON", () => archiveOf({ "manifest.json": "{", "memories.jsonl": LINE }), "MALFORMED"],
  ["a manifest without members", () => lying((manifest) => Object.assign(manifest, { members: [] })), "MALFORMED"],
  ["a manifest without the lines it tells of", () => lying(() => {}, {}), "MALFORMED"],
  [
    "another number than the manifest says",
    () => lying((manifest) => Object.assign(manifest, { counts: { memories: 2 } })),
    "MALFORMED",
  ],
  [
    "another content than the manifest says",
    async () => lying((manifest) => Object.assign((manifest.members as never)[0], { sha256: "0".repeat(64) })),
    "MALFORMED",
  ],
  [
    "a huge manifest",
    () => archiveOf({ "manifest.json": JSON.stringify({ x: crypto.getRandomValues(new Uint8Array(60_000)).toHex() }) }),
    "TOO_LARGE",
  ],
  [
    "more memories than are taken at once",
    () =>
      archiveOf({
        "memories.jsonl.gz": gz(Array.from({ length: 100_001 }, (_, index) => `{"id":"${index}"}`).join("\n")),
      }),
    "TOO_LARGE",
  ],
  [
    "more spaces than are taken at once",
    () =>
      ourArchive(
        Array.from({ length: 1001 }, (_, index) => ({
          id: crypto.randomUUID(),
          content: "x",
          access_entity: `team:a/${index}`,
        })),
      ),
    "TOO_LARGE",
  ],
];

test.each(HOSTILE)(
  "%s",
  async (_what, archive, code) => {
    const { status, body } = await backups(world, ada).import(await archive());
    expect({ status, code: body.code }).toEqual({ status: code === "MALFORMED" ? 400 : 413, code });
    expect(JSON.stringify(body)).not.toContain("smuggled");
    expect((await world.api(ada).get("/memories")).body.total).toBe(1);
    expect(readdirSync(join(DATA_DIR, "spool"))).toEqual([]);
  },
  60_000,
);

test("a line of seventeen million bytes is passed over, and those around it are not", async () => {
  const line = (content: string) => JSON.stringify({ id: crypto.randomUUID(), content });
  const noise = crypto.getRandomValues(new Uint8Array(65_536)).toBase64();
  const archive = await ourArchive([line("before it"), line(noise.repeat(195)), line("after it")]);
  const { body } = await backups(world, ada).import(archive, "?dry_run=true");
  expect(body).toMatchObject({ created: 2, rejected: 1, reasons: [{ line: 2, id: null, code: "TOO_LARGE" }] });
});

const post = async (body: string | FormData, headers: Record<string, string> = {}, query = "") =>
  world.raw(`/api/v1/backup/import${query}`, {
    method: "POST",
    body,
    headers: { authorization: `Bearer ${await tokenFor(ada)}`, ...headers },
  });
const form = (parts: [name: string, value: File | string][]) => {
  const body = new FormData();
  for (const [name, value] of parts) body.append(name, value);
  return body;
};
const FILE = new File(["x"], "archive.zip");
const MULTIPART = { "content-type": "multipart/form-data; boundary=x" };
const PART = '--x\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\n';

test.each<[string, () => string | FormData, Record<string, string>, string, number, string]>([
  ["no form", () => "{}", { "content-type": "application/json" }, "", 415, "UNSUPPORTED_MEDIA_TYPE"],
  ["a compressed form", () => "x", { ...MULTIPART, "content-encoding": "gzip" }, "", 415, "UNSUPPORTED_MEDIA_TYPE"],
  ["a form without a boundary", () => "x", { "content-type": "multipart/form-data" }, "", 400, "MALFORMED"],
  ["a form that ends early", () => `${PART}abc`, MULTIPART, "", 400, "MALFORMED"],
  ["a form without a file", () => form([]), {}, "", 422, "INVALID_INPUT"],
  ["a text for a file", () => form([["file", "x"]]), {}, "", 422, "INVALID_INPUT"],
  [
    "two files",
    () =>
      form([
        ["file", FILE],
        ["file", FILE],
      ]),
    {},
    "",
    422,
    "INVALID_INPUT",
  ],
  [
    "another field",
    () =>
      form([
        ["user_id", "ada"],
        ["file", FILE],
      ]),
    {},
    "",
    422,
    "INVALID_INPUT",
  ],
  ["a mode that is none", () => form([["file", FILE]]), {}, "?mode=merge", 422, "INVALID_INPUT"],
  ["a parameter that is none", () => form([["file", FILE]]), {}, "?app_id=1", 422, "INVALID_INPUT"],
  ["a space that is none", () => form([["file", FILE]]), {}, "?access_entity=nowhere", 422, "INVALID_INPUT"],
  [
    "more than 64 MB",
    () => form([["file", new File([new Uint8Array(67_108_865)], "a.zip")]]),
    {},
    "",
    413,
    "TOO_LARGE",
  ],
])("%s is refused", async (_what, body, headers, query, status, code) => {
  const answer = await post(body(), headers, query);
  expect({ status: answer.status, code: answer.body.code }).toEqual({ status, code });
  expect(readdirSync(join(DATA_DIR, "spool"))).toEqual([]);
});
