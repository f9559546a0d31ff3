import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ourArchive } from "../support/archives.ts";
import { temporaryFolder } from "../support/folder.ts";
import { brain, startBrain } from "../support/processes.ts";

/**
 * How much memory large exports and imports take, and how long: by hand, `bun run test:long`. A service of its own; the
 * kernel says what its process had at most (VmHWM), on Linux alone.
 */
const MOST_GROWTH_MB = 200;
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
}, 60_000);

/** Runs the work and says what it took of the service's memory beyond what that had, in MB, and of time. */
async function weighed<T>(what: string, work: () => Promise<T>): Promise<{ growth: number; result: T }> {
  const file = (name: string) => `/proc/${up.process.pid}/${name}`;
  const told = (name: string) =>
    Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(readFileSync(file("status"), "utf8"))?.[1]) / 1000;
  writeFileSync(file("clear_refs"), "5"); // the highest from here on
  const before = told("VmRSS");
  const started = performance.now();
  const result = await work();
  const growth = told("VmHWM") - before;
  console.log(
    `${what}: ${before.toFixed(0)} MB before, at most ${growth.toFixed(0)} MB more, ${((performance.now() - started) / 1000).toFixed(1)} s`,
  );
  return { growth, result };
}

/** What a link of /proc leads to; nothing where it has gone meanwhile. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

const run = async (args: string[], token = up.token) => {
  const { code, out, err } = await brain([...args, "--url", up.url], { BRAIN_TOKEN: token });
  expect([code, err]).toEqual([0, ""]);
  return out;
};
const tokenOf = async (org: string) =>
  (
    await brain(["token", "--user", "ada", "--org", org, "--scopes", "backup:write backup:read memories:read"], {
      BRAIN_DATA_DIR: data.path,
    })
  ).out.trim();
const at = (name: string) => join(folder.path, name);
/** Text that does not pack: three quarters of it are left. */
const noise = (characters: number) => crypto.getRandomValues(new Uint8Array((characters * 3) / 4)).toBase64();

test("an export of more than 100 MB", async () => {
  const headers = { authorization: `Bearer ${up.token}`, "content-type": "application/json" };
  for (let batch = 0; batch < 160; batch++) {
    const memories = Array.from({ length: 15 }, () => ({ content: noise(64_000) }));
    const response = await fetch(`${up.url}/api/v1/memories/batch`, {
      method: "POST",
      headers,
      body: JSON.stringify({ memories }),
    });
    expect(response.status).toBe(201);
    await response.text();
  }
  const { growth } = await weighed("export, 2,400 memories of 64 kB", () => run(["export", at("large.zip")]));
  expect(statSync(at("large.zip")).size).toBeGreaterThan(100_000_000);
  expect(growth).toBeLessThan(MOST_GROWTH_MB);
}, 600_000);

test("an import of 60 MB, in one transaction", async () => {
  const lines = Array.from({ length: 1200 }, () => ({ id: crypto.randomUUID(), content: noise(64_000) }));
  writeFileSync(at("sixty.zip"), await ourArchive(lines));
  expect(statSync(at("sixty.zip")).size).toBeGreaterThan(57_000_000);
  const token = await tokenOf("sixty");
  const { growth, result } = await weighed("import, 1,200 memories of 64 kB", () =>
    run(["import", at("sixty.zip"), "--json"], token),
  );
  expect(JSON.parse(result)).toMatchObject({ created: 1200, parts: 1 });
  expect(growth).toBeLessThan(MOST_GROWTH_MB);
}, 600_000);

test("an import of many small ones, and again", async () => {
  const count = 50_000;
  const said = (index: number) =>
    `We decided in week ${index % 52} that service ${index % 400} uses \`queue-${index % 90}\`: ${noise(200)}`;
  const lines = Array.from({ length: count }, (_, index) => ({
    id: crypto.randomUUID(),
    content: said(index),
    tags: { week: index % 52 },
    entities: [`service ${index % 400}`],
  }));
  writeFileSync(at("small.zip"), await ourArchive(lines));
  const token = await tokenOf("small");
  const first = await weighed(`import, ${count} memories of 250 bytes`, () =>
    run(["import", at("small.zip"), "--json"], token),
  );
  expect(JSON.parse(first.result)).toMatchObject({ created: count });
  const again = await weighed("the same once more", () =>
    run(["import", at("small.zip"), "--json", "--mode", "overwrite"], token),
  );
  expect(JSON.parse(again.result)).toMatchObject({ created: 0, skipped: count });
  const exported = await weighed("and its export", () => run(["export", at("small-again.zip")], token));
  for (const { growth } of [first, again, exported]) expect(growth).toBeLessThan(MOST_GROWTH_MB);
}, 1_200_000);

test("kill -9 in the middle of an import leaves nothing of it, and no file", async () => {
  const lines = Array.from({ length: 20_000 }, (_, index) => ({ id: crypto.randomUUID(), content: `killed ${index}` }));
  writeFileSync(at("killed.zip"), await ourArchive(lines));
  const token = await tokenOf("killed");
  const importing = brain(["import", at("killed.zip"), "--url", up.url], { BRAIN_TOKEN: token });
  const folder_of_files = `/proc/${up.process.pid}/fd`;
  const files = () =>
    readdirSync(folder_of_files).filter((fd) => linkOf(join(folder_of_files, fd)).startsWith(join(data.path, "spool")))
      .length;
  while (files() < 2) await Bun.sleep(5); // both of its files: it reads, or stores, what came
  await Bun.sleep(1500);
  up.process.kill("SIGKILL");
  expect((await importing).code).not.toBe(0);
  await up.process.exited;
  up = await startBrain(["up"], { BRAIN_DATA_DIR: data.path });
  expect(await Array.fromAsync(new Bun.Glob("*").scan({ cwd: join(data.path, "spool") }))).toEqual([]);
  expect(await run(["export", at("after.zip")], token)).toContain(" 0 memories");
}, 120_000);
