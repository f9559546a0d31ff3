import { expect, test } from "bun:test";
import postgres from "postgres";
import { METHOD_PROBES } from "../../src/leaks/method_probes.ts";
import { ROUTE_PROBES } from "../../src/leaks/probes.ts";
import type { Phase } from "../../src/leaks/report.ts";
import { checkLeaks, type LeakCheckOptions, sow } from "../../src/leaks/run.ts";
import type { Probes } from "../../src/leaks/walk.ts";
import { emptyDatabase, freshDatabase } from "./server.ts";

/** Of a test in milliseconds: a run is thousands of requests. */
export const PATIENCE = 120_000;

let sown: ReturnType<typeof sowOnce> | undefined;

/** A database with the canaries of the short form, of which each check that is to find something gets a copy. */
async function sowOnce() {
  const database = await freshDatabase();
  return { template: new URL(database.owner_url).pathname.slice(1), sown: await sow(database, "short") };
}

/** Runs the short form on a database that is broken when all is planted; gives what it found, and what it looked at. */
export async function checkAfter(breakIt: (owner: postgres.Sql) => Promise<unknown>, options: LeakCheckOptions = {}) {
  sown ??= sowOnce();
  const { template, ...planted } = await sown;
  const database = await emptyDatabase(template);
  const owner = postgres(database.owner_url, { max: 1, onnotice: () => {} });
  try {
    return await checkLeaks(database, { depth: "short", ...planted, planted: () => breakIt(owner), ...options });
  } finally {
    await owner.end();
    await database.drop();
  }
}

/** A function's text with a part of it replaced; the part must be there. */
async function rewrite(owner: postgres.Sql, name: string, part: string, by: string) {
  const [made] = await owner<{ text: string }[]>`
    select pg_get_functiondef(oid) as text from pg_proc where oid::regproc::text = ${name}`;
  if (!made?.text.includes(part)) throw new Error(`${name} has no ${part}`);
  await owner.unsafe(made.text.replaceAll(part, by));
}

/** Enough to get at what others have, and quicker than all of them. */
export const SOME = {
  routes: Object.fromEntries(
    Object.entries(ROUTE_PROBES).filter(([route]) => /^\w+ \/api\/v1\/(memories(\/:id)?|search|audit)$/.test(route)),
  ),
  tools: {},
  methods: {},
};

/** MCP beside its tools. */
const METHODS = { routes: {}, tools: {}, methods: METHOD_PROBES };

/** What reads sizes by their own policy alone; lists and /stats join the spaces, and show nothing where only that is gone. */
const SIZES = {
  routes: Object.fromEntries(Object.entries(ROUTE_PROBES).filter(([route]) => /^\w+ \/api\/v1\/graph\//.test(route))),
  tools: {},
  methods: {},
};

/** What tells by what it shows; a write into a broken wall may wait for its 17 seconds. */
const READS = {
  routes: Object.fromEntries(Object.entries(SOME.routes).filter(([, { reads }]) => reads)),
  tools: {},
  methods: {},
};

/** A way to break the wall in the database, with the phase that must notice while the lint is off. */
export type Plant = [what: string, Phase, (owner: postgres.Sql) => Promise<unknown>, probes?: Probes];

/** The known ways to leak that a statement plants: in every run of the suite. */
export const PLANTS: Plant[] = [
  [
    "a policy dropped, the table open",
    "twins",
    (owner) =>
      owner.unsafe(
        "drop policy within_spaces on brain.memories; alter table brain.memories disable row level security",
      ),
  ],
  [
    "terms of all tenants",
    "counts",
    (owner) => owner.unsafe("alter policy within_spaces on brain.memory_terms using (true)"),
  ],
  [
    "an audit of all orgs",
    "probes",
    (owner) => rewrite(owner, "app.read_audit", "org_id = (select app.current_org_id())", "true"),
  ],
  ["an immutable context function", "probes", (owner) => owner.unsafe("alter function app.current_spaces() immutable")],
  [
    "a key over all orgs",
    "twins",
    (owner) => owner.unsafe("create unique index on brain.memories (content_key) where state = 'active'"),
  ],
  [
    "a context that stays on the connection",
    "context",
    (owner) => rewrite(owner, "app.enter", "caller_org::text, true)", "caller_org::text, false)"),
  ],
];

/** And others, which other phases must notice: in the long run. */
export const MORE_PLANTS: Plant[] = [
  [
    "a policy dropped, the table open",
    "fingerprints",
    (owner) =>
      owner.unsafe(
        "drop policy within_spaces on brain.memories; alter table brain.memories disable row level security",
      ),
  ],
  [
    "a policy dropped, the table shut",
    "controls",
    (owner) => owner.unsafe("drop policy within_spaces on brain.memories"),
  ],
  [
    "a policy that forgets the spaces",
    "probes",
    (owner) =>
      owner.unsafe(`alter policy within_spaces on brain.memories using (org_id = (select app.current_org_id()));
        alter policy within_spaces on brain.spaces using (org_id = (select app.current_org_id()))`),
  ],
  [
    "sizes of all spaces of the org",
    "counts",
    (owner) =>
      owner.unsafe("alter policy within_spaces on brain.space_sizes using (org_id = (select app.current_org_id()))"),
    SIZES,
  ],
  [
    "a view that sees as its owner, in place of a table",
    "twins",
    (owner) =>
      owner.unsafe(`alter table brain.memories rename to kept_memories;
        create view brain.memories as select * from brain.kept_memories;
        grant select, insert, update on brain.memories to brain_app`),
  ],
  [
    "names of spaces, as completions",
    "counts",
    (owner) =>
      owner.unsafe("alter policy within_spaces on brain.spaces using (org_id = (select app.current_org_id()))"),
    METHODS,
  ],
  [
    "a policy dropped, the table open, to prompts and resources",
    "probes",
    (owner) =>
      owner.unsafe(
        "alter table brain.memories disable row level security; alter table brain.spaces disable row level security",
      ),
    METHODS,
  ],
];

/** Declares a test for each: what is planted is found. */
export function findsEach(plants: Plant[]) {
  test.each(plants)(
    "%s: found by the phase %s",
    async (_what, phase, breakIt, probes = phase === "probes" ? READS : SOME) => {
      const phases: Phase[] = phase === "fingerprints" ? ["probes", phase] : [phase];
      const { findings } = await checkAfter(breakIt, { phases, probes });
      const real = findings.filter(({ said }) => !/has no probe|did not get to its end/.test(said));
      expect(real.map((finding) => finding.phase)).toContain(phase);
    },
    PATIENCE,
  );
}
