import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { temporaryFolder } from "../support/folder.ts";
import { brain } from "../support/processes.ts";
import { ada, openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
  for (const content of ["one", "two", "three"]) await world.api(ada).post("/memories", { content });
  await world.database.sealAudit(1000);
});
afterAll(() => world.close());

const asOwner = (...args: string[]) => brain(args, { OWNER_DATABASE_URL: world.urls.owner_url });

test("verify says how far the chain is whole, erase leaves it whole, and a broken one has its own exit code", async () => {
  using folder = temporaryFolder();
  const heads = join(folder.path, "heads.json");
  const json = await asOwner("verify", "--audit", "--json");
  await Bun.write(heads, json.out);
  expect(JSON.parse(json.out)).toMatchObject([{ org: "acme", seq: 3, unsealed: 0, erased: 0, faults: [] }]);

  expect((await asOwner("audit", "erase", "--org", "acme", "--user", "ada")).out).toBe(
    "3 events no longer say whose they were.\n",
  );
  const { code, out } = await asOwner("verify", "--audit", "--against", heads);
  expect([code, out]).toEqual([0, expect.stringMatching(/^"acme": whole up to 3 .*; 1 not chained yet, 3 erased\n$/)]);

  await world.owner`update brain.audit_events set action = 'memory.purged' where seq = 2`;
  const broken = await asOwner("verify", "--audit");
  expect([broken.code, broken.out, broken.err]).toEqual([
    13,
    expect.stringContaining("BROKEN: the event 2"),
    "The audit of 1 of 1 orgs is not whole.\n",
  ]);
}, 15_000);

test.each([["--against", "/nowhere/heads.json"], ["--against", "package.json"], []])(
  "verify is told what is wrong with %j",
  async (...args) => {
    const { code, err } = await asOwner("verify", ...(args.length > 0 ? ["--audit", ...args] : []));
    expect([code, err.length > 0]).toEqual([2, true]);
  },
);
