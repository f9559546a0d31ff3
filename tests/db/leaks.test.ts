import { expect, test } from "bun:test";
import { ClientRequestSchema, ErrorCode } from "@modelcontextprotocol/sdk/types.js";
import { ROUTE_NEEDS } from "../../src/auth/scopes.ts";
import { METHOD_PROBES } from "../../src/leaks/method_probes.ts";
import { ROUTE_PROBES, TOOL_PROBES } from "../../src/leaks/probes.ts";
import { checkLeaks } from "../../src/leaks/run.ts";
import { checkAfter, findsEach, PATIENCE, PLANTS, SOME } from "../support/plants.ts";
import { freshDatabase } from "../support/server.ts";
import { ada, openWorld, tokenFor } from "../support/world.ts";

const nothing = async () => {};

test(
  "nothing leaks, and everything was looked at",
  async () => {
    const database = await freshDatabase();
    const { findings, phases } = await checkLeaks(database, { depth: "short" });
    await database.drop();
    expect(findings).toEqual([]);
    const requests = Object.fromEntries(phases.map((figures) => [figures.phase, figures.requests]));
    expect(requests.probes).toBeGreaterThan(1000);
    for (const phase of ["streams", "counts", "scopes", "crowd", "controls"])
      expect(requests[phase]).toBeGreaterThan(20);
  },
  PATIENCE,
);

findsEach(PLANTS);

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
        probes: SOME,
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
  "what a crowd is not answered, though it asks again, is found",
  async () => {
    const once = new Set<string | null>();
    const refused = () => Response.json({ code: "UNAVAILABLE" }, { status: 503 });
    const { "GET /health/live": live, "GET /health/ready": ready } = ROUTE_PROBES;
    if (!live || !ready) throw new Error("no probes to ask");
    const { findings } = await checkAfter(nothing, {
      phases: ["crowd"],
      probes: { routes: { "GET /health/live": live, "GET /health/ready": ready }, tools: {}, methods: {} },
      tamper: async ({ url, headers }, response) => {
        if (url.endsWith("/health/ready")) return refused();
        const token = headers.get("authorization");
        if (!url.endsWith("/health/live") || once.has(token)) return response;
        once.add(token);
        return refused();
      },
    });
    expect(once.size).toBeGreaterThan(1);
    expect(findings.length).toBeGreaterThan(0);
    for (const { said } of findings)
      expect(said).toMatch(/^GET \/health\/ready in a crowd as .*: not answered, so nothing was seen of it\.$/);
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
