import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { startSealer } from "../../src/audit/sealer.ts";
import { createLog } from "../../src/log.ts";
import { eraseFromAudit, verifyAudit } from "../../src/ops/audit.ts";
import { ada, ben, cyd, eve, openWorld, otherAda, type Person, tokenFor, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

/** What the audit of somebody's org says, oldest first, without what differs from run to run. */
async function audited(person: Person, query = "") {
  const { body } = await world.api(person).get(`/audit?size=100${query}`);
  return body.items
    .reverse()
    .map(({ id: _i, at: _a, request_id: _r, seq: _s, hash: _h, ...event }: Record<string, unknown>) => event);
}

const done = { outcome: "done", code: null, app: "rest", changed: [] };

describe("what is done is in the audit", () => {
  test("each kind of write, with its ids, fields and spaces, and never its content", async () => {
    const person = { ...ada, org: "deeds" };
    const api = world.api(person);
    const { body } = await api.post("/memories", { content: "what nobody else is to read" });
    await api.put(`/memories/${body.id}`, { content: "a secret", category: "decision" });
    await api.put(`/memories/${body.id}`, { access_entity: "project:acme/web", tags: ["a"] });
    await api.put(`/memories/${body.id}`, { tags: ["a"] });
    await api.delete(`/memories/${body.id}`);
    const own = { ...done, user: "ada", targets: [body.id] };
    expect(await audited(person)).toEqual([
      { ...own, action: "memory.created", access_entities: ["user:ada"] },
      { ...own, action: "memory.updated", changed: ["content", "category"], access_entities: ["user:ada"] },
      {
        ...own,
        action: "memory.moved",
        changed: ["access_entity", "tags"],
        access_entities: ["project:acme/web", "user:ada"],
      },
      { ...own, action: "memory.updated", access_entities: ["project:acme/web"] },
      { ...own, action: "memory.deleted", changed: ["state"], access_entities: ["project:acme/web"] },
    ]);
    expect(JSON.stringify(await audited(person))).not.toMatch(/secret|nobody else/);
  });

  test("a batch is one event; a duplicate and a refused write are none", async () => {
    const person = { ...ada, org: "batches" };
    const api = world.api(person);
    const memories = [{ content: "one" }, { content: "two", access_entity: "project:acme/web" }, { content: "one" }];
    const { body } = await api.post("/memories/batch", { memories });
    await api.post("/memories", { content: "one" });
    await api.post("/memories/batch", {
      memories: [{ content: "three" }, { content: "four", supersedes: crypto.randomUUID() }],
    });
    const [first, second] = body.items;
    expect(await audited(person)).toEqual([
      {
        ...done,
        user: "ada",
        action: "memory.created",
        targets: [first.id, second.id].sort(),
        access_entities: ["project:acme/web", "user:ada"],
      },
    ]);
  });

  test("through MCP as through REST, by the request's id", async () => {
    const person = { ...ada, org: "tools" };
    const assistant = await world.assistant(person);
    await assistant.call("add_memories", { text: "by a tool" });
    const { body } = await world.api(person).get("/audit");
    expect(body.items).toMatchObject([{ user: "ada", app: "claude-code", action: "memory.created", outcome: "done" }]);
    expect(world.logged.some((line) => line.includes(body.items[0].request_id))).toBe(true);
  });

  test("what the operator does by hand is the system's", async () => {
    const person = { ...ada, org: "by hand" };
    await world.api(person).post("/memories", { content: "x" });
    await world.owner`update brain.memories set category = 'runbook' where org_id = app.org_key('by hand')`;
    await world.owner`delete from brain.memories where org_id = app.org_key('by hand')`;
    expect(await audited(person)).toMatchObject([
      { user: "ada", action: "memory.created" },
      { user: "system", action: "memory.updated", changed: ["category"], app: null },
      { user: "system", action: "memory.purged", app: null },
    ]);
  });
});

describe("what is refused is in the audit", () => {
  const denied = { outcome: "denied", app: "rest", targets: [], changed: [], access_entities: [] };

  test("a missing scope, a space not granted, a foreign session, a paused app, a revoked token", async () => {
    const person = { ...ben, org: "refusals" };
    const api = world.api(person);
    await api.post("/memories", { content: "first" });
    await world.api({ ...person, scopes: ["memories:read"] }).post("/memories", { content: "x" });
    await api.post("/memories", { content: "x", access_entity: "org:other" });
    await world.raw(`/mcp/messages?session_id=${"0".repeat(32)}`, {
      method: "POST",
      headers: { authorization: `Bearer ${await tokenFor(person)}` },
    });
    await world.owner`update brain.apps set is_active = false where org_id = app.org_key('refusals')`;
    await api.post("/memories", { content: "y" });
    const authorization = `Bearer ${await tokenFor(person)}`;
    const send = (method: string, path: string) => world.raw(path, { method, headers: { authorization } });
    expect((await send("POST", "/api/v1/tokens/revoke")).status).toBe(204);
    expect((await send("GET", "/api/v1/memories")).body.code).toBe("TOKEN_REVOKED");
    expect(
      (await audited(person, "&outcome=denied")).map(({ user, ...event }: { user: string }) => [user, event]),
    ).toEqual([
      ["ben", { ...denied, action: "POST /api/v1/memories", code: "INSUFFICIENT_SCOPE" }],
      ["ben", { ...denied, action: "POST /api/v1/memories", code: "FORBIDDEN_ACCESS_ENTITY" }],
      ["ben", { ...denied, action: "POST /mcp/messages", code: "SESSION_BINDING_INVALID", app: "mcp" }],
      ["ben", { ...denied, action: "POST /api/v1/memories", code: "APP_PAUSED" }],
      ["ben", { ...denied, action: "GET /api/v1/memories", code: "TOKEN_REVOKED" }],
    ]);
  });

  test("in a tool too, once; and of somebody never seen before", async () => {
    const person = { org: "unseen", sub: "new", scopes: ["memories:read"] };
    const assistant = await world.assistant(person);
    await assistant.call("add_memories", { text: "x" });
    expect(await audited({ org: "unseen", sub: "admin" })).toEqual([
      { ...denied, user: "new", app: "claude-code", action: "tools/call add_memories", code: "INSUFFICIENT_SCOPE" },
    ]);
  });

  test("not: what is absent, or does not fit, or has no valid token", async () => {
    const person = { ...cyd, org: "quiet" };
    await world.api(person).get(`/memories/${crypto.randomUUID()}`);
    await world.api(person).post("/memories", { content: "" });
    await world.raw("/api/v1/memories", { headers: { authorization: "Bearer a.b.c" } });
    expect(await audited(person)).toEqual([]);
  });

  test("an audit that cannot be written changes no answer, and is in the log", async () => {
    const broken = await openWorld();
    await broken.owner`drop function app.audit_denied(text, text, text, text, text, text)`;
    const { status } = await broken.api({ ...ada, scopes: [] }).get("/memories");
    expect(status).toBe(403);
    expect(broken.logged.some((line) => line.includes("a refusal is not in the audit"))).toBe(true);
    await broken.close();
  });
});

describe("reading it", () => {
  test("needs admin:read, and shows one's own org alone", async () => {
    await world.api(ada).post("/memories", { content: "acme's" });
    await world.api(eve).post("/memories", { content: "umbrella's" });
    expect((await world.api({ ...ada, scopes: ["memories:read", "admin:write"] }).get("/audit")).body.code).toBe(
      "INSUFFICIENT_SCOPE",
    );
    const users = (events: { user: string }[]) => new Set(events.map(({ user }) => user));
    expect(users(await audited(otherAda))).toEqual(new Set(["eve"]));
    expect(users(await audited(cyd, "&action=memory.created"))).toEqual(new Set(["ada"]));
    expect(await audited({ org: "nowhere", sub: "x" })).toEqual([]);
  });

  test("filters, pages and follows a cursor without loss", async () => {
    const person = { ...ada, org: "pages" };
    const api = world.api(person);
    const ids: string[] = [];
    for (let number = 0; number < 5; number++)
      ids.unshift((await api.post("/memories", { content: `number ${number}` })).body.id);
    await api.delete(`/memories/${ids[0]}`);
    const targets = ({ body }: { body: { items: { targets: string[] }[] } }) =>
      body.items.flatMap((event) => event.targets);
    const first = await api.get("/audit?action=memory.created&size=2");
    expect(first.body).toMatchObject({ total: 5, total_is: "exact", page: 1, pages: 3 });
    const second = await api.get(`/audit?action=memory.created&size=2&cursor=${first.body.next_cursor}`);
    const third = await api.get("/audit?action=memory.created&size=2&page=3");
    expect([...targets(first), ...targets(second), ...targets(third)]).toEqual(ids);
    expect(second.body.total).toBeNull();
    expect((await api.get(`/audit?target=${ids[0]}`)).body.total).toBe(2);
    expect((await api.get("/audit?user=ben")).body).toMatchObject({ items: [], total: 0 });
    expect((await api.get("/audit?from_date=2100-01-01T00:00:00Z")).body.total).toBe(0);
    for (const wrong of ["from_date=yesterday", "cursor=x", "outcome=maybe", "page=2&cursor=x", "org=acme"])
      expect((await api.get(`/audit?${wrong}`)).status).toBe(422);
  });
});

describe("the chain", () => {
  const org_of = (reports: Awaited<ReturnType<typeof verifyAudit>>, org: string) =>
    reports.find((report) => report.org === org);

  /** An org with a few events of its own, all of them chained. */
  async function chained(org: string) {
    const api = world.api({ ...ada, org });
    for (const content of ["a", "b", "c", "d"]) await api.post("/memories", { content });
    await world.api({ ...ada, org, scopes: [] }).get("/memories");
    await world.database.sealAudit(100_000);
    return api;
  }

  test("is whole, and says how far it goes", async () => {
    const api = await chained("whole");
    await api.post("/memories", { content: "e" });
    expect(org_of(await verifyAudit(world.urls.owner_url), "whole")).toMatchObject({
      seq: 5,
      unsealed: 1,
      erased: 0,
      faults: [],
    });
    await world.database.sealAudit(100_000);
    const reports = await verifyAudit(world.urls.owner_url);
    expect(reports.flatMap(({ faults }) => faults)).toEqual([]);
    const { body } = await api.get("/audit");
    expect(body.items[0]).toMatchObject({ seq: 6, hash: org_of(reports, "whole")?.hash });
  });

  const change = (org: string, what: string) => `${what} where org_id = app.org_key('${org}') and seq = 3`;
  test.each([
    ["a changed target", "update brain.audit_events set targets = '{x}'", "the event 3 .* is not what was chained"],
    [
      "a changed time",
      "update brain.audit_events set at = at + interval '1 us'",
      "the event 3 .* is not what was chained",
    ],
    ["another person", "update brain.audit_events set sub = 'ben'", "the event 3 .* names other persons"],
    ["half an erasure", "update brain.audit_events set salt = null, sub = 'ben'", "the event 3 .* names other persons"],
    ["a removed event", "delete from brain.audit_events", "the event 3 is missing"],
  ])("shows %s", async (name, statement, fault) => {
    await chained(name);
    await world.owner.unsafe(change(name, statement));
    const report = org_of(await verifyAudit(world.urls.owner_url), name);
    expect(report?.faults.join()).toMatch(new RegExp(fault));
  });

  test("shows what was cut off at its end, by heads of before even where the end was moved too", async () => {
    await chained("cut");
    const before = (await verifyAudit(world.urls.owner_url)).filter(({ org }) => org === "cut");
    await world.owner`delete from brain.audit_events where org_id = app.org_key('cut') and seq > 3`;
    expect(org_of(await verifyAudit(world.urls.owner_url), "cut")?.faults).toEqual([
      "the chain ends at 3, and was left at 5",
    ]);
    await world.owner`
      update brain.audit_chains set seq = 3, hash = (
        select hash from brain.audit_events where org_id = audit_chains.org_id and seq = 3)
      where org_id = app.org_key('cut')`;
    expect(org_of(await verifyAudit(world.urls.owner_url), "cut")?.faults).toEqual([]);
    expect(org_of(await verifyAudit(world.urls.owner_url, before), "cut")?.faults).toEqual([
      "the chain ends at 3, and reached 5 before",
    ]);
  });

  test("stays whole when a person is erased from it, and nothing of theirs is left", async () => {
    await chained("erased");
    await world.api({ ...ben, org: "erased" }).post("/memories", { content: "ben's" });
    expect(await eraseFromAudit(world.urls.owner_url, { org: "erased", sub: "ada" })).toBe(5);
    await world.database.sealAudit(100_000);
    expect(org_of(await verifyAudit(world.urls.owner_url), "erased")).toMatchObject({ seq: 7, erased: 5, faults: [] });
    const left = await world.owner`
      select * from brain.audit_events where org_id = app.org_key('erased') and (sub = 'ada' or 'user:ada' = any (access_entities))`;
    expect(left).toHaveLength(0);
    expect((await audited({ ...ben, org: "erased" }, "&user=system"))[0]).toMatchObject({
      action: "audit.erased",
      targets: ["5"],
    });
  });

  test("stays whole when the operator's events on the space of who was erased go with them, and nobody else's", async () => {
    await chained("mentioned");
    await world.owner`update brain.memories set category = 'runbook' where org_id = app.org_key('mentioned')`;
    await world.api({ ...ben, org: "mentioned" }).post("/memories", { content: "ben's" });
    expect(await eraseFromAudit(world.urls.owner_url, { org: "mentioned", sub: "ada" })).toBe(6);
    expect(org_of(await verifyAudit(world.urls.owner_url), "mentioned")).toMatchObject({ erased: 6, faults: [] });
    const told = JSON.stringify(await audited({ ...cyd, org: "mentioned" }));
    expect(told).not.toMatch(/(?<![0-9a-f])ada(?![0-9a-f])/); // but as digits of an id or a hash
    expect(await audited({ ...cyd, org: "mentioned" }, "&action=memory.updated")).toMatchObject([
      { user: null, access_entities: null },
    ]);
    expect(await audited({ ...cyd, org: "mentioned" }, "&user=ben")).toMatchObject([{ access_entities: ["user:ben"] }]);
  });

  test("is made once by many sealers at once, and none starves another org", async () => {
    const one = { ...ada, org: "crowded" };
    for (let batch = 0; batch < 6; batch++) {
      const memories = Array.from({ length: 100 }, (_, number) => ({ content: `${batch} ${number}` }));
      await world.api(one).post("/memories/batch", { memories });
    }
    await world.owner`
      insert into brain.audit_events (org_id, action) select app.org_key('crowded'), 'planted' from generate_series(1, 1500)`;
    await world.api({ ...ada, org: "alone" }).post("/memories", { content: "one" });
    await world.database.sealAudit(600);
    expect(org_of(await verifyAudit(world.urls.owner_url), "alone")).toMatchObject({ seq: 1, unsealed: 0 });
    const sealed = await Promise.all(Array.from({ length: 12 }, () => world.database.sealAudit(400)));
    expect(sealed.every((count) => count <= 400)).toBe(true);
    while ((await world.database.sealAudit(2000)) > 0);
    expect(org_of(await verifyAudit(world.urls.owner_url), "crowded")).toMatchObject({
      seq: 1506,
      unsealed: 0,
      faults: [],
    });
  });

  test("goes on from what an older release chained, whatever stands in an event", async () => {
    const odd = await openWorld();
    const plant = () => odd.owner`
      insert into brain.audit_events (org_id, action, code, user_id, sub, app, access_entities, targets, changed, request_id)
      select app.org_key('odd'), action, code, user_id, sub, app, access_entities, targets, changed, request_id
      from (values
        ('none', null, null::uuid, null, null, null::text[], '{}'::text[], '{}'::text[], null),
        ('one', 'CODE', gen_random_uuid(), 'ada', 'rest', '{user:ada}', '{a}', '{content}', 'request'),
        ('several', '', null, '', '', '{user:ada,org:x}', '{a,b,"c,d"}', '{tags,content}', '-'),
        ('äöü 漢字 🧠', 'ß', null, 'Zoë 🧠', 'アプリ', '{user:Zoë}', '{漢}', '{ä,ö}', 'é'),
        ('nulls', null, null, 'x', null, null, '{}', '{}', null),
        ('empty text', null, null, 'x', 'y', '{""}', '{""}', '{"",""}', '')
      ) as planted (action, code, user_id, sub, app, access_entities, targets, changed, request_id)`;
    const [older] =
      readFileSync(join(import.meta.dir, "../../migrations/committed/000003-the-audit.sql"), "utf8").match(
        /create or replace function app\.seal_audit[\s\S]*?\n\$\$;/,
      ) ?? [];
    const [newer] = await odd.owner<{ definition: string }[]>`
      select pg_get_functiondef('app.seal_audit(int)'::regprocedure) as definition`;
    if (!older || !newer) throw new Error("nothing to seal with");
    await plant();
    await odd.owner.unsafe(older);
    expect(await odd.database.sealAudit(100)).toBe(6);
    await odd.owner.unsafe(newer.definition);
    await plant();
    expect(await odd.database.sealAudit(3)).toBe(3); // and the rest from where that ended
    expect(await odd.database.sealAudit(100)).toBe(3);
    expect(await odd.database.sealAudit(100)).toBe(0);
    expect(await verifyAudit(odd.urls.owner_url)).toMatchObject([{ seq: 12, unsealed: 0, erased: 0, faults: [] }]);
    await odd.close();
  });

  test("is made by a service that runs, each second, and once more as it stops", async () => {
    const api = world.api({ ...ada, org: "running" });
    await api.post("/memories", { content: "one" });
    const sealer = startSealer(world.database, createLog("silent"));
    const seq = async () => (await api.get("/audit?size=1")).body.items[0].seq;
    while ((await seq()) === null) await Bun.sleep(50);
    await api.post("/memories", { content: "two" });
    await sealer.stop();
    expect(await seq()).toBe(2);
  });

  test("has no access for the service beyond its doors", async () => {
    const identity = {
      org: "acme",
      sub: "ada",
      jti: "x",
      scopes: new Set<string>(),
      grants: ["user:ada"],
      expires_at: 0,
    };
    const caller = world.database.callerFor(identity, "rest", "r");
    const tried: ((table: string) => Promise<unknown>)[] = [
      (table) => caller.read((tx) => tx`select from ${tx(`brain.${table}`)}`),
      (table) => caller.write((tx) => tx`delete from ${tx(`brain.${table}`)}`),
      (table) => caller.write((tx) => tx`update ${tx(`brain.${table}`)} set seq = 1`),
      (table) => caller.write((tx) => tx`insert into ${tx(`brain.${table}`)} (org_id) values (app.current_org_id())`),
    ];
    for (const table of ["audit_events", "audit_chains"])
      for (const attempt of tried)
        expect(
          await attempt(table)
            .then(() => "done")
            .catch((error: { code: string }) => error.code),
        ).toBe("42501");
  });
});
