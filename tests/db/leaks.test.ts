import { expect, test } from "bun:test";
import { ClientRequestSchema, ErrorCode } from "@modelcontextprotocol/sdk/types.js";
import postgres from "postgres";
import { ROUTE_NEEDS } from "../../src/auth/scopes.ts";
import { METHOD_PROBES } from "../../src/leaks/method_probes.ts";
import { ROUTE_PROBES, TOOL_PROBES } from "../../src/leaks/probes.ts";
import type { Phase } from "../../src/leaks/report.ts";
import { checkLeaks, type LeakCheckOptions } from "../../src/leaks/run.ts";
import type { Probes } from "../../src/leaks/walk.ts";
import { freshDatabase } from "../support/server.ts";
import { ada, openWorld, tokenFor } from "../support/world.ts";

/** A run is thousands of requests. */
const PATIENCE = 120_000;

/** Runs the short form on a database that is broken when all is planted; gives what it found, and what it looked at. */
async function checkAfter(breakIt: (owner: postgres.Sql) => Promise<unknown>, options: LeakCheckOptions = {}) {
  const database = await freshDatabase();
  const owner = postgres(database.owner_url, { max: 1, onnotice: () => {} });
  try {
    return await checkLeaks(database, { depth: "short", planted: () => breakIt(owner), ...options });
  } finally {
    await owner.end();
    await database.drop();
  }
}

const nothing = async () => {};

test(
  "nothing leaks, and everything was looked at",
  async () => {
    const { findings, phases } = await checkAfter(nothing);
    expect(findings).toEqual([]);
    const requests = Object.fromEntries(phases.map((figures) => [figures.phase, figures.requests]));
    expect(requests.probes).toBeGreaterThan(1000);
    for (const phase of ["streams", "counts", "scopes", "crowd", "controls"])
      expect(requests[phase]).toBeGreaterThan(20);
  },
  PATIENCE,
);

/** A function's text with a part of it replaced; the part must be there. */
async function rewrite(owner: postgres.Sql, name: string, part: string, by: string) {
  const [made] = await owner<{ text: string }[]>`
    select pg_get_functiondef(oid) as text from pg_proc where oid::regproc::text = ${name}`;
  if (!made?.text.includes(part)) throw new Error(`${name} has no ${part}`);
  await owner.unsafe(made.text.replaceAll(part, by));
}

/** Enough to get at what others have, and quicker than all of them. */
const SOME = {
  routes: Object.fromEntries(
    Object.entries(ROUTE_PROBES).filter(([route]) => /^\w+ \/api\/v1\/(memories(\/:id)?|search|audit)$/.test(route)),
  ),
  tools: {},
  methods: {},
};

/** MCP beside its tools. */
const METHODS = { routes: {}, tools: {}, methods: METHOD_PROBES };

/** What tells by what it shows; a write into a broken wall may wait for its 17 seconds. */
const READS = {
  routes: Object.fromEntries(Object.entries(SOME.routes).filter(([, { reads }]) => reads)),
  tools: {},
  methods: {},
};

/** Ways to break the wall in the database, each with the phase that must notice while the lint is off. */
const PLANTS: [what: string, Phase, (owner: postgres.Sql) => Promise<unknown>, probes?: Probes][] = [
  [
    "a policy dropped, the table open",
    "twins",
    (owner) =>
      owner.unsafe(
        "drop policy within_spaces on brain.memories; alter table brain.memories disable row level security",
      ),
  ],
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
    "terms of all tenants",
    "counts",
    (owner) => owner.unsafe("alter policy within_spaces on brain.memory_terms using (true)"),
  ],
  [
    "sizes of all spaces of the org",
    "counts",
    (owner) =>
      owner.unsafe("alter policy within_spaces on brain.space_sizes using (org_id = (select app.current_org_id()))"),
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

test.each(PLANTS)(
  "%s: found by the phase %s",
  async (_what, phase, breakIt, probes = phase === "probes" ? READS : SOME) => {
    const phases: Phase[] = phase === "fingerprints" ? ["probes", phase] : [phase];
    const { findings } = await checkAfter(breakIt, { phases, probes });
    const real = findings.filter(({ said }) => !/has no probe|did not get to its end/.test(said));
    expect(real.map((finding) => finding.phase)).toContain(phase);
  },
  PATIENCE,
);

/** What no answer shows: the lint alone can tell. */
test.each([
  [
    "a view that sees as its owner",
    "create view brain.peek as select * from brain.memories",
    "brain.peek: a view without",
  ],
  [
    "a reference without org_id",
    `alter table brain.spaces add constraint one_space unique (id);
     alter table brain.memories add constraint loose foreign key (space_id) references brain.spaces (id)`,
    "memories: loose does not begin with org_id",
  ],
])(
  "%s: found by the lint",
  async (_what, statement, said) => {
    const { findings } = await checkAfter((owner) => owner.unsafe(statement), { phases: ["catalog"] });
    expect(findings.map((finding) => finding.said).join("\n")).toContain(said);
  },
  PATIENCE,
);

test(
  "a scope that was forgotten: found by the phase scopes",
  async () => {
    const route = "GET /api/v1/memories";
    const { [route]: needs = "public" } = ROUTE_NEEDS;
    ROUTE_NEEDS[route] = [];
    try {
      const { findings } = await checkAfter(nothing, { phases: ["scopes"] });
      expect(findings.map(({ said }) => said)).toEqual([
        `${route} with every scope but memories:read was answered 200 , not INSUFFICIENT_SCOPE.`,
      ]);
    } finally {
      ROUTE_NEEDS[route] = needs;
    }
  },
  PATIENCE,
);

test(
  "a count over all tenants: found by the phase counts",
  async () => {
    let count = async () => 0;
    const { findings } = await checkAfter(
      async (owner) => {
        count = async () =>
          (await owner<{ rows: number }[]>`select count(*)::int as rows from brain.memories`)[0]?.rows ?? 0;
      },
      {
        phases: ["counts"],
        tamper: async (request, response) => {
          if (request.method !== "GET" || !response.ok || !request.url.includes("/memories?")) return response;
          return Response.json(
            { ...((await response.json()) as object), total: await count() },
            { headers: response.headers },
          );
        },
      },
    );
    expect(findings.map(({ phase }) => phase)).toContain("counts");
  },
  PATIENCE,
);

test(
  "a route, a tool or a method without a probe is found, and a probe for nothing",
  async () => {
    const { "GET /docs": page = ROUTE_PROBES["GET /openapi.json"], ...others } = ROUTE_PROBES;
    if (!page) throw new Error("no probe to move");
    const silent = Object.entries(others).map(([route, probe]) => [route, { ...probe, asks: () => [] }]);
    const probes = { routes: { ...Object.fromEntries(silent), "GET /burn": page }, tools: {}, methods: {} };
    const { findings } = await checkAfter(nothing, { phases: ["probes"], probes });
    const missing = (what: string, probes: object) =>
      Object.keys(probes).map((name) => `The ${what} ${name} has no probe in src/leaks/.`);
    expect(findings.map((finding) => finding.said).sort()).toEqual([
      ...missing("method", METHOD_PROBES).sort(),
      "The probe GET /burn is for no route there is.",
      "The route GET /docs has no probe in src/leaks/.",
      ...missing("tool", TOOL_PROBES).sort(),
    ]);
  },
  PATIENCE,
);

test("whatever MCP answers has a probe, or says nothing of what is stored", async () => {
  const world = await openWorld();
  const says_nothing = ["initialize", "ping", "logging/setLevel"];
  const probed = ["tools/call", ...Object.keys(METHOD_PROBES).map((name) => name.split(" ", 1)[0])];
  const methods = ClientRequestSchema.options.map(({ shape }) => shape.method.value);
  const answered = [];
  for (const method of methods) {
    const headers = { authorization: `Bearer ${await tokenFor(ada)}`, "content-type": "application/json" };
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: {} });
    const answer = await world.raw("/mcp", { method: "POST", headers, body });
    if (answer.body.error?.code !== ErrorCode.MethodNotFound) answered.push(method);
  }
  await world.close();
  expect(answered.sort()).toEqual([...new Set([...says_nothing, ...probed])].sort() as never);
});
