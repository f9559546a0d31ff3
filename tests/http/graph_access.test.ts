import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ROUTE_NEEDS, SCOPES, type Scope } from "../../src/auth/scopes.ts";
import { ada, ben, cyd, eve, openWorld, otherAda, type Person, type World } from "../support/world.ts";

/**
 * Who gets what from every route of the graph: its owner, a team-mate with the grant, a colleague without it, somebody
 * of another org, a token without the scope, no token.
 */
let world: World;
const SHARED = "project:acme/web";
/** What ada has said in her project, and to herself; nobody else may read more of it than they are granted. */
const ids = { shared: "", near: "", own: "", event: "", own_event: "" };

beforeAll(async () => {
  world = await openWorld();
  const add = async (path: string, body: object) => (await world.api(ada).post(path, body)).body.id as string;
  const said = (mark: string, access_entity: string) => ({
    content: `${mark}word of it`,
    category: "decision",
    entities: [`${mark}thing`, `${mark}other`],
    tags: { [`${mark}tag`]: `${mark}value`, [`${mark}tug`]: true },
    evidence: [`${mark}proof`],
    artifact_ref: `${mark}artifact`,
    metadata: { date: "2025" },
    access_entity,
  });
  ids.shared = await add("/memories", said("shared", SHARED));
  ids.near = await add("/memories", { ...said("shared", SHARED), content: "sharedword of more" });
  ids.own = await add("/memories", said("secret", "user:ada"));
  await add("/memories", { ...said("secret", "user:ada"), content: "secretword of more" });
  for (const [key, mark, access_entity] of [
    ["event", "shared", SHARED],
    ["own_event", "secret", "user:ada"],
  ] as const)
    ids[key] = await add("/graph/events", {
      name: `${mark}event`,
      event_type: "release",
      start_date: "2025",
      entities: [`${mark}thing`],
      access_entity,
    });
  for (const person of [ben, cyd, eve, otherAda]) await world.api(person).post("/memories", { content: "hers alone" });
});
afterAll(() => world.close());

/** A route, how to ask it about what is shared, and whether an empty answer or none is given to who may not see that. */
const ROUTES: Record<string, { ask: () => string; hidden: 200 | 404; tells: boolean }> = {
  "GET /api/v1/memories/:id/related": { ask: () => `/memories/${ids.shared}/related`, hidden: 404, tells: true },
  "GET /api/v1/memories/:id/similar": { ask: () => `/memories/${ids.shared}/similar`, hidden: 404, tells: true },
  "GET /api/v1/memories/:id/graph": { ask: () => `/memories/${ids.shared}/graph`, hidden: 404, tells: true },
  "GET /api/v1/graph/stats": { ask: () => "/graph/stats", hidden: 200, tells: false },
  "GET /api/v1/graph/aggregate/:dimension": { ask: () => "/graph/aggregate/tag", hidden: 200, tells: true },
  "GET /api/v1/graph/tags/cooccurrence": { ask: () => "/graph/tags/cooccurrence", hidden: 200, tells: true },
  "GET /api/v1/graph/tags/:key/related": { ask: () => "/graph/tags/sharedtag/related", hidden: 200, tells: true },
  "GET /api/v1/graph/search/memories": {
    ask: () => "/graph/search/memories?query=sharedword",
    hidden: 200,
    tells: true,
  },
  "GET /api/v1/graph/search/entities": { ask: () => "/graph/search/entities?query=thing", hidden: 200, tells: true },
  "GET /api/v1/graph/timeline": { ask: () => "/graph/timeline", hidden: 200, tells: true },
  "GET /api/v1/graph/analytics/communities/entities": {
    ask: () => "/graph/analytics/communities/entities",
    hidden: 200,
    tells: true,
  },
  "GET /api/v1/graph/analytics/communities/memories": {
    ask: () => "/graph/analytics/communities/memories",
    hidden: 200,
    tells: true,
  },
  "GET /api/v1/graph/analytics/similarity/entities": {
    ask: () => "/graph/analytics/similarity/entities",
    hidden: 200,
    tells: true,
  },
  "GET /api/v1/graph/analytics/connectivity": {
    ask: () => "/graph/analytics/connectivity",
    hidden: 200,
    tells: true,
  },
};

const WRITES = ["POST /api/v1/graph/events", "DELETE /api/v1/graph/events/:id"];
const scopesOf = (route: string) => ROUTE_NEEDS[route] as readonly Scope[];
const only = (person: Person, scopes: readonly Scope[]): Person => ({ ...person, scopes });

test("every route of the graph is here", () => {
  const there = Object.entries(ROUTE_NEEDS).filter(
    ([route, needs]) => needs !== "public" && (route.includes("/graph") || needs.includes("graph:read")),
  );
  expect(there.map(([route]) => route).sort()).toEqual([...Object.keys(ROUTES), ...WRITES].sort());
});

describe.each(Object.entries(ROUTES))("%s", (route, { ask, hidden, tells }) => {
  test("tells its owner and the team-mate with the grant, with no more scopes than it needs", async () => {
    for (const person of [ada, ben]) {
      const { status, body } = await world.api(only(person, scopesOf(route))).get(ask());
      const text = JSON.stringify(body);
      expect([status, text.includes("shared")]).toEqual([200, tells]);
      if (person === ben) expect(text).not.toContain("secret");
    }
  });

  test("tells nothing of it to a colleague without the grant, nor to another org", async () => {
    for (const person of [cyd, eve, otherAda]) {
      const { status, body } = await world.api(person).get(ask());
      expect(status).toBe(hidden);
      const text = JSON.stringify(body).replace('"tag":"sharedtag"', ""); // what was asked for
      expect(text).not.toMatch(/shared|secret/);
      for (const id of Object.values(ids)) expect(text).not.toContain(id);
    }
  });

  test("needs each of its scopes", async () => {
    for (const missing of scopesOf(route)) {
      const scopes = SCOPES.filter((scope) => scope !== missing);
      const { status, body } = await world.api(only(ada, scopes)).get(ask());
      expect([status, body.code]).toEqual([403, "INSUFFICIENT_SCOPE"]);
    }
  });

  test("needs a token, and no parameter but its own", async () => {
    const { status, body } = await world.raw(`/api/v1${ask()}`);
    expect([status, body.code]).toEqual([401, "MISSING_AUTH"]);
    const unknown = await world.api(ada).get(`${ask()}${ask().includes("?") ? "&" : "?"}org_id=acme`);
    expect([unknown.status, unknown.body.errors[0].at]).toEqual([422, "org_id"]);
  });
});

test("what is not one's own to see answers as what is not there", async () => {
  const { request_id: _, ...absent } = (await world.api(cyd).get(`/memories/${crypto.randomUUID()}/related`)).body;
  for (const person of [cyd, eve])
    for (const what of ["related", "similar", "graph"]) {
      const { request_id: _, ...hidden } = (await world.api(person).get(`/memories/${ids.own}/${what}`)).body;
      expect(hidden).toEqual(absent);
    }
});

test("writing an event needs graph:write, and a token", async () => {
  const event = { name: "x", event_type: "release", start_date: "2025" };
  const but_write = only(
    ada,
    SCOPES.filter((scope) => scope !== "graph:write"),
  );
  for (const call of [
    (person: Person) => world.api(person).post("/graph/events", event),
    (person: Person) => world.api(person).delete(`/graph/events/${ids.own_event}`),
  ]) {
    const { status, body } = await call(but_write);
    expect([status, body.code]).toEqual([403, "INSUFFICIENT_SCOPE"]);
  }
  for (const [method, path] of [
    ["POST", "/api/v1/graph/events"],
    ["DELETE", `/api/v1/graph/events/${ids.own_event}`],
  ] as const)
    expect((await world.raw(path, { method })).status).toBe(401);
  expect((await world.api(only(ada, ["graph:write"])).post("/graph/events", event)).status).toBe(201);
});

test("the health of the graph is public", async () => {
  expect((await world.raw("/api/v1/graph/health")).body).toEqual({ status: "ok" });
  expect((await world.raw("/api/v1/graph/healthy")).status).toBe(401);
});
