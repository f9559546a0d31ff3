import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openLocal, partsOf } from "../../src/cli/archives.ts";
import { EXIT } from "../../src/refusal.ts";
import { archiveOf, membersOf, ourArchive } from "../support/archives.ts";
import { temporaryFolder } from "../support/folder.ts";
import { brain, startBrain } from "../support/processes.ts";

const folder = temporaryFolder();
const data = temporaryFolder();
let up: Awaited<ReturnType<typeof startBrain>>;
beforeAll(async () => {
  up = await startBrain(["up"], { BRAIN_DATA_DIR: data.path });
}, 60_000);
afterAll(async () => {
  up.process.kill("SIGTERM");
  await up.process.exited;
  folder[Symbol.dispose]();
  data[Symbol.dispose]();
}, 30_000);

const at = (name: string) => join(folder.path, name);
const run = (args: string[], token = up.token) => brain([...args, "--url", up.url], { BRAIN_TOKEN: token });
const post = (content: string) =>
  fetch(`${up.url}/api/v1/memories`, {
    method: "POST",
    headers: { authorization: `Bearer ${up.token}`, "content-type": "application/json" },
    body: JSON.stringify({ content }),
  });

test("export writes what the service gives, checked, for its owner's eyes", async () => {
  await post("we use bun here");
  const { code, out, err } = await run(["export", at("one.zip")]);
  expect([code, err, out]).toEqual([
    0,
    "",
    expect.stringMatching(
      /one\.zip: [\d.]+ (bytes|kB), 1 memories, 0 revisions, 0 relations, 0 events, 0 aliases\.\nSHA-256 [\da-f]{64}\n$/,
    ),
  ]);
  expect(statSync(at("one.zip")).mode & 0o777).toBe(0o600);
  expect((await membersOf(readFileSync(at("one.zip"))))["memories.jsonl"]).toContain("we use bun here");
  expect(readdirSync(folder.path)).toEqual(["one.zip"]);
  expect(readdirSync(join(data.path, "spool"))).toEqual([]);

  const again = await run(["export", at("one.zip")]);
  expect([again.code, again.err]).toEqual([EXIT.usage, expect.stringContaining("--force writes over it")]);
  const forced = await run(["export", at("one.zip"), "--force", "--json", "--states", "archived deleted"]);
  expect([forced.code, JSON.parse(forced.out)]).toMatchObject([0, { manifest: { counts: { memories: 0 } } }]);
}, 30_000);

test("import takes it up again, says what it came to, and may be repeated", async () => {
  const archive = at("two.zip");
  const lines = [
    { id: crypto.randomUUID(), content: "from the archive" },
    { id: crypto.randomUUID(), content: "elsewhere", access_entity: "team:not/mine" },
  ];
  writeFileSync(archive, await ourArchive(lines));
  const dry = await run(["import", archive, "--dry-run"]);
  expect([dry.code, dry.out]).toEqual([
    EXIT.import_incomplete,
    expect.stringContaining("Would be: 1 created, 0 updated, 0 skipped, 1 rejected"),
  ]);
  const first = await run(["import", archive]);
  expect(first).toMatchObject({ code: EXIT.import_incomplete, err: "1 of the archive were not taken over.\n" });
  expect(first.out).toBe(`1 created, 0 updated, 0 skipped, 1 rejected; 0 relations, 0 events, 0 aliases.
SHA-256 of the archive: ${new Bun.CryptoHasher("sha256").update(readFileSync(archive)).digest("hex")}
line 2, ${lines[1]?.id}: FORBIDDEN_ACCESS_ENTITY access_entity: The token does not grant that space.
`);
  const second = await run(["import", archive, "--space", "user:local", "--json"]);
  expect([second.code, JSON.parse(second.out)]).toMatchObject([0, { created: 1, skipped: 1, rejected: 0, parts: 1 }]);
}, 30_000);

test.each([
  ["no token", async () => brain(["export", at("x.zip"), "--url", up.url]), EXIT.usage, "set BRAIN_TOKEN"],
  [
    "a token that is none",
    async () => run(["export", at("x.zip")], "x.y.z"),
    EXIT.service_refused,
    "The service answers 401: INVALID_TOKEN.",
  ],
  [
    "nobody there",
    async () => brain(["export", at("x.zip"), "--url", "http://127.0.0.1:1"], { BRAIN_TOKEN: up.token }),
    EXIT.service_unreachable,
    "http://127.0.0.1:1 does not answer",
  ],
  [
    "a state that is none",
    async () => run(["export", at("x.zip"), "--states", "lost"]),
    EXIT.service_refused,
    "states.0",
  ],
  ["no such file", async () => run(["import", at("none.zip")]), EXIT.usage, "cannot be read"],
  [
    "a file that is no archive",
    async () => {
      writeFileSync(at("bad.zip"), "x");
      return run(["import", at("bad.zip")]);
    },
    EXIT.archive_broken,
    "not a readable zip",
  ],
])(
  "%s is told of, with its exit code",
  async (_what, call, code, said) => {
    const answer = await call();
    expect([answer.code, answer.err]).toEqual([code, expect.stringContaining(said)]);
    expect(existsSync(at("x.zip"))).toBe(false);
  },
  30_000,
);

test("a damaged archive is noticed before anything is sent", async () => {
  const members = await membersOf(await ourArchive([{ id: crypto.randomUUID(), content: "as it was" }]));
  writeFileSync(
    at("damaged.zip"),
    await archiveOf({ ...members, "memories.jsonl": (members["memories.jsonl"] ?? "").replace("was", "is!") }),
  );
  const { code, err } = await run(["import", at("damaged.zip")]);
  expect([code, err]).toEqual([
    EXIT.archive_broken,
    expect.stringContaining("memories.jsonl is not what the archive's manifest says"),
  ]);
}, 30_000);

test("a large archive goes in parts, each an archive by itself", async () => {
  const lines = [
    ...Array.from({ length: 7 }, (_, index) => ({
      id: crypto.randomUUID(),
      content: `part ${index}`,
      metadata: { continues: true },
    })),
    { id: crypto.randomUUID(), continues: true, revisions: [] },
  ];
  const archive = await ourArchive(lines, {
    "graph.jsonl": `${JSON.stringify({ kind: "relation", from: "a", to: "b", type: "uses" })}\n`,
  });
  writeFileSync(at("large.zip"), archive);
  await using local = await openLocal(at("large.zip"));
  const parts: unknown[] = [];
  let made = "";
  for await (const { path, memories } of partsOf(local, { memories: 3, bytes: 1_000_000 })) {
    made = path;
    const { code, out } = await run(["import", path, "--json"]);
    parts.push([memories, code, JSON.parse(out).created, JSON.parse(out).relations]);
  }
  expect(parts).toEqual([
    [3, 0, 3, 0],
    [3, 0, 3, 0],
    [1, 0, 1, 0],
    [0, 0, 0, 1],
  ]);
  expect(existsSync(made)).toBe(false);
  const sizes: number[] = [];
  for await (const { memories } of partsOf(local, { memories: 100, bytes: 250 })) sizes.push(memories);
  expect(sizes).toEqual([2, 2, 2, 1, 0]);
}, 60_000);
