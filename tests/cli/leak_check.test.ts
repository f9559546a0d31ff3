import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import postgres from "postgres";
import { loadConfig } from "../../src/config.ts";
import { createLog } from "../../src/log.ts";
import { type Service, startService } from "../../src/main.ts";
import { brain } from "../support/processes.ts";
import { startTestServer } from "../support/server.ts";
import { ada, ben, cyd, eve, openWorld, SETTINGS, tokenFor, type World } from "../support/world.ts";

/** It starts, prepares and migrates a database before it does anything. */
const PATIENCE = 90_000;

describe("on a scratch database", () => {
  test(
    "ends with 0, and leaves neither database nor role behind",
    async () => {
      const { admin_url } = await startTestServer();
      const left = async () => {
        const sql = postgres(admin_url, { max: 1 });
        const rows = await sql`
          select datname as name from pg_database where datname like 'brain_scratch%'
          union all select rolname from pg_roles where rolname like 'brain_scratch%'`;
        await sql.end();
        return rows.map(({ name }) => name);
      };
      const args = ["leak-check", "--short", "--only", "context,catalog", "--json"];
      const { code, out, err } = await brain(args, { ROOT_DATABASE_URL: admin_url });
      expect(err).toContain("canaries …\ncontext …\ncatalog …\n");
      const { phases, findings } = JSON.parse(out) as { phases: { phase: string }[]; findings: unknown[] };
      expect({ code, findings, phases: phases.map(({ phase }) => phase), left: await left() }).toEqual({
        code: 0,
        findings: [],
        phases: ["canaries", "context", "catalog"],
        left: [],
      });
    },
    PATIENCE,
  );

  test("wants an administrator where a database of one's own is named", async () => {
    const env = { DATABASE_URL: "postgres://a:b@127.0.0.1:1/c", JWT_SECRET_KEY: SETTINGS.jwt_secret };
    expect(await brain(["leak-check"], env)).toMatchObject({
      code: 3,
      err: expect.stringContaining("ROOT_DATABASE_URL"),
    });
  });
});

describe("against a deployment", () => {
  let world: World;
  let service: Service;
  beforeAll(async () => {
    world = await openWorld();
    service = await startService(
      loadConfig({ PORT: "0", RATE_LIMIT_BURST: "100000" }),
      world.urls.service_url,
      SETTINGS.jwt_secret,
      createLog("silent"),
    );
    for (const person of [ada, ben, cyd, eve])
      await world.api(person).post("/memories", { content: `what ${person.sub} knows and nobody else is to know` });
  });
  afterAll(async () => {
    await service.stop();
    await world.close();
  });

  const checkWith = async (url: string, people: Parameters<typeof tokenFor>[0][]) => {
    const tokens = await Promise.all(people.map(tokenFor));
    return brain(["leak-check", "--url", url], { LEAK_CHECK_TOKENS: tokens.join(",") });
  };

  test(
    "ends with 0, and has stored nothing",
    async () => {
      const rows = async () =>
        (await world.owner`select md5(memories::text) from brain.memories order by 1`).map(String);
      const before = await rows();
      for (const other of [eve, cyd]) {
        const { code, out } = await checkWith(service.url, [ada, other]);
        expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining("Nothing was found.") });
        expect(out).not.toContain("skipped");
      }
      expect(await rows()).toEqual(before);
    },
    PATIENCE,
  );

  test("says so where the two may share something, and refuses one user twice", async () => {
    expect(await checkWith(service.url, [ada, ben])).toMatchObject({
      code: 0,
      out: expect.stringContaining("skipped"),
    });
    expect((await checkWith(service.url, [ada, ada])).code).toBe(2);
  });

  test("ends with 12 where one is given what another has", async () => {
    const foreign = await world.api(ada).get("/memories");
    const [item] = foreign.body.items;
    // As the deployment, but for one route that asks nobody whose it is.
    using leaky = Bun.serve({
      port: 0,
      fetch: async (request) => {
        const { pathname, search } = new URL(request.url);
        if (pathname.endsWith(item.id)) return Response.json(item);
        const { method, headers } = request;
        const body = method === "GET" ? null : await request.text();
        return fetch(service.url + pathname + search, { method, headers, body });
      },
    });
    const { code, out } = await checkWith(leaky.url.origin, [ada, eve]);
    expect(code).toBe(12);
    expect(out).toContain("twins: GET /api/v1/memories/:id as eve: the status for what ada has differs");
    expect(out).toContain("an answer holds what a memory of ada says");
    expect(out).not.toContain(item.content);
  });

  test("wants two tokens", async () => {
    expect((await brain(["leak-check", "--url", service.url])).code).toBe(3);
    expect((await brain(["leak-check", "--url", service.url], { LEAK_CHECK_TOKENS: "one" })).code).toBe(3);
  });
});
