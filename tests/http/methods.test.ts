import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ROUTE_NEEDS } from "../../src/auth/scopes.ts";
import { type Attempt, EVERYBODY, type Ground, layGround, type Row, readRows, type Thing } from "../support/access.ts";
import { openWorld, type World } from "../support/world.ts";

/** What holds for every path there is, over the same rows as tests/http/routes.test.ts. */
const ROWS = await readRows();
const ROUTES = [...ROWS];
const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const ORIGIN = "https://brain.example.com";

let world: World;
let ground: Ground;
beforeAll(async () => {
  world = await openWorld({ mcp_heartbeat_seconds: 86_400 });
  ground = await layGround(world);
});
afterAll(() => world.close());

interface Sample {
  thing: Thing;
  attempt: Attempt;
  path: string;
  query: string;
}

async function sampleOf(route: string, row: Row): Promise<Sample> {
  const thing = await (row.make ?? (() => ground.memory()))(ground);
  const attempt = row.call(thing);
  const [path = "", query = ""] = (attempt.path ?? (route.split(" ")[1] ?? "").replace(/:\w+/g, thing.id)).split("?");
  return { thing, attempt, path, query: query && `?${query}` };
}

const isStream = (route: string) => route.includes("/sse/:user") && route.startsWith("GET");

describe.each(ROUTES)("%s", (route, row) => {
  const method = route.split(" ")[0] ?? "";
  const is_public = ROUTE_NEEDS[route] === "public";

  test("a slash at the end means nothing", async () => {
    const { thing, attempt, path, query } = await sampleOf(route, row);
    const answer = await ground.ask("owner", method, route, thing, { ...attempt, path: `${path}/${query}` });
    await thing.close?.();
    expect([answer.status, answer.text.slice(0, 200)]).toEqual([row.status, expect.any(String)]);
  });

  test.if(method === "GET")("HEAD is GET without its body", async () => {
    const { thing, attempt, path, query } = await sampleOf(route, row);
    for (const who of [EVERYBODY[0] ?? null, "stranger", null] as const) {
      const asked = { ...attempt, path: path + query };
      const head = await ground.ask(who, "HEAD", route, thing, asked);
      if (isStream(route)) {
        expect([head.status, head.text]).toEqual([who ? 405 : 401, ""]);
        continue;
      }
      const get = await ground.ask(who, "GET", route, thing, asked);
      expect([head.status, head.text]).toEqual([get.status, ""]);
      const type = (headers: string) => /"content-type","([^"]+)"/.exec(headers)?.[1];
      expect(type(head.headers)).toBe(type(get.headers));
    }
  });

  test("OPTIONS and 405 tell the methods the path has, with a token the latter", async () => {
    const { thing, path } = await sampleOf(route, row);
    await thing.close?.();
    const takes = methodsOf(path);
    expect(takes).toContain(method);
    const preflight = await world.app.handle(
      new Request(`http://localhost${path}`, {
        method: "OPTIONS",
        headers: { origin: ORIGIN, "access-control-request-method": method },
      }),
    );
    expect([preflight.status, allowed(preflight.headers.get("allow"))]).toEqual([204, takes]);
    expect(preflight.headers.get("access-control-allow-origin")).toBe(ORIGIN);
    expect(allowed(preflight.headers.get("access-control-allow-methods"))).toEqual(takes);
    for (const other of METHODS.filter((one) => !takes.includes(one))) {
      const refused = await ground.ask("owner", other, route, thing, { path });
      const allow = /"allow","([^"]*)"/.exec(refused.headers)?.[1] ?? "";
      expect([other, refused.status, allowed(allow)]).toEqual([other, 405, takes]);
      expect(JSON.parse(refused.text).code).toBe("METHOD_NOT_ALLOWED");
      const stranger = await ground.ask(null, other, route, thing, { path });
      expect([other, stranger.status]).toEqual([other, is_public ? 405 : 401]);
    }
  });
});

/** What a router finds at a path: a fixed path may be one with a parameter too. */
function methodsOf(path: string): string[] {
  const fitting = world.app.registered.filter(({ path: pattern }) =>
    new RegExp(`^${pattern.replace(/[.]/g, "\\.").replace(/:\w+/g, "[^/]+")}$`).test(path),
  );
  const methods = new Set(fitting.map(({ method }) => method));
  if (fitting.some((one) => one.method === "GET" && !isStream(`GET ${one.path}`))) methods.add("HEAD");
  return [...methods].sort();
}

const allowed = (header: string | null) => (header ?? "").split(", ").sort();
