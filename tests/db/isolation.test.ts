import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import postgres from "postgres";
import { ANY } from "../../src/memories/filter.ts";
import { lexicalHits } from "../../src/search/lexical.ts";
import { parseQuery } from "../../src/search/query.ts";
import { termsOf } from "../../src/search/terms.ts";
import { undone } from "../support/undo.ts";
import { ada, ben, cyd, eve, openWorld, otherAda, type Person, type World } from "../support/world.ts";

/**
 * The wall itself: what each person's transaction can touch, table by table, with no service code in between. The
 * tables come from the catalog, so one that is added tomorrow is tried, or fails here for want of rows.
 */
let world: World;
let service: postgres.Sql;
let tables: string[];

beforeAll(async () => {
  world = await openWorld();
  for (const person of [ada, ben, cyd, eve, otherAda]) {
    const spaces = ["user", ...(person.grants?.length ? ["project"] : [])];
    for (const space of spaces) {
      const { body } = await world.api(person).post("/memories", {
        content: `${person.org} ${person.sub} ${space === "user" ? "private" : "shared"}`,
        entities: ["thing"],
        tags: { date: "2025-03-31" },
        ...(space === "project" && { access_entity: "project:acme/web" }),
      });
      await world.api(person).put(`/memories/${body.id}`, { category: "decision" });
    }
  }
  await world.owner`
    insert into brain.idempotency_keys (org_id, user_id, key, fingerprint) select org_id, id, 'a key', 'x' from brain.users`;
  await world.owner`
    insert into brain.mcp_sessions (org_id, user_id, id, client, holder)
    select org_id, id, md5(id::text), 'cursor', id from brain.users`;
  await world.owner`
    insert into brain.mcp_messages (org_id, user_id, session_id, body) select org_id, id, md5(id::text), 'answer' from brain.users`;
  await world.owner`insert into brain.revoked_tokens (org_id, jti, expires_at) select org_id, 'jti', now() from brain.orgs`;
  // Things said of entities, one in each space that has any: the owner writes as the first user of the org.
  const someone = world.owner`(select id, sub from brain.users where users.org_id = entities.org_id limit 1)`;
  await world.owner`
    insert into brain.relations (org_id, id, space_id, from_key, to_key, type, owner_id, owner, app)
    select org_id, gen_random_uuid(), space_id, key, key, 'uses', someone.id, sub, 'rest' from brain.entities, lateral ${someone} as someone`;
  await world.owner`
    insert into brain.entity_merges (org_id, id, space_id, key, variants, owner_id, owner)
    select org_id, gen_random_uuid(), space_id, key, '[]', someone.id, sub from brain.entities, lateral ${someone} as someone`;
  await world.owner`
    insert into brain.event_entities (org_id, space_id, event_id, key) select org_id, space_id, id, 'thing' from brain.events`;
  await world.owner`
    insert into brain.memory_access_log (org_id, space_id, at, user_id, sub, app, kind, memory_ids)
    select org_id, space_id, now(), owner_id, owner, app, 'get', array[id] from brain.memories`;
  await world.owner`
    insert into brain.settings (org_id, secrets, updated_by) select org_id, '{"a": "secret"}', 'ada' from brain.orgs`;
  await world.database.openEmbeddingSpaces("a model", 8);
  await world.owner`
    insert into brain.memory_embeddings (org_id, space_id, embedding_space, memory_id, code, vector)
    select org_id, space_id, 1, id, b'10101010', '\\x0102030405060708' from brain.memories`;
  await world.database.sealAudit(1000);
  service = postgres(world.urls.service_url, { max: 1, onnotice: () => {} });
  const found = await world.owner<{ name: string }[]>`
    select relname as name from pg_class where relnamespace = 'brain'::regnamespace and relkind in ('r', 'p') order by 1`;
  tables = found.map(({ name }) => name);
});
afterAll(async () => {
  await service.end();
  await world.close();
});

/** Runs as a person, straight on the service's connection, and takes everything back. */
const as = <T>(person: Person | null, work: (tx: postgres.Sql) => Promise<T>): Promise<T> =>
  undone(service, async (tx) => {
    if (person) {
      const grants = [`user:${person.sub}`, ...(person.grants ?? [])];
      await tx`select app.enter(${person.org}, ${person.sub}, 'a token', ${grants})`;
    }
    return work(tx);
  });

const codeOf = (work: Promise<unknown>) => work.then(() => "done").catch((error: { code: string }) => error.code);

const REACH = { filter: ANY, space_ids: null, keep: 10, count_to: 10 };

/** A table the service has no right to read at all. */
const REFUSED = "42501";

/** The rows of a table as somebody sees them, by their org_id; or the code it was refused with. */
const seenIn = (table: string, person: Person | null): Promise<{ org_id: string }[] | string> =>
  as(person, (tx) => tx<{ org_id: string }[]>`select org_id from ${tx(`brain.${table}`)}`).catch(
    (error: { code: string }) => error.code,
  );

/** What lives for a while only, and what is said of entities. Memories are not: they change their state. */
const DELETABLE = new Set(["idempotency_keys", "mcp_sessions", "mcp_messages", "relations", "events"]);

const isNothing = (seen: unknown[] | string) => seen === REFUSED || seen.length === 0;

/** How many rows of a table each should see: by reading as the owner, with the rule said once more in other words. */
const EXPECTED: Record<string, Record<string, number | string>> = {
  orgs: { ada: 1, ben: 1, cyd: 1, eve: 1, otherAda: 1 },
  users: { ada: 1, ben: 1, cyd: 1, eve: 1, otherAda: 1 },
  spaces: { ada: 2, ben: 2, cyd: 1, eve: 2, otherAda: 2 },
  audit_chains: { ada: REFUSED, ben: REFUSED, cyd: REFUSED, eve: REFUSED, otherAda: REFUSED },
  audit_events: { ada: REFUSED, ben: REFUSED, cyd: REFUSED, eve: REFUSED, otherAda: REFUSED },
  apps: { ada: 1, ben: 1, cyd: 1, eve: 1, otherAda: 1 },
  entities: { ada: 2, ben: 2, cyd: 1, eve: 2, otherAda: 2 },
  entity_merges: { ada: 2, ben: 2, cyd: 1, eve: 2, otherAda: 2 },
  event_entities: { ada: 3, ben: 3, cyd: 1, eve: 3, otherAda: 3 },
  events: { ada: 3, ben: 3, cyd: 1, eve: 3, otherAda: 3 },
  memory_access_log: { ada: 3, ben: 3, cyd: 1, eve: 3, otherAda: 3 },
  memory_entities: { ada: 3, ben: 3, cyd: 1, eve: 3, otherAda: 3 },
  memory_tags: { ada: 3, ben: 3, cyd: 1, eve: 3, otherAda: 3 },
  relations: { ada: 2, ben: 2, cyd: 1, eve: 2, otherAda: 2 },
  settings: { ada: 1, ben: 1, cyd: 1, eve: 1, otherAda: 1 },
  memories: { ada: 3, ben: 3, cyd: 1, eve: 3, otherAda: 3 },
  embedding_spaces: { ada: 1, ben: 1, cyd: 1, eve: 1, otherAda: 1 },
  memory_embeddings: { ada: 3, ben: 3, cyd: 1, eve: 3, otherAda: 3 },
  jobs: { ada: REFUSED, ben: REFUSED, cyd: REFUSED, eve: REFUSED, otherAda: REFUSED },
  space_sizes: { ada: 9, ben: 9, cyd: 3, eve: 9, otherAda: 9 },
  space_words: { ada: 6, ben: 6, cyd: 3, eve: 6, otherAda: 6 },
  memory_terms: { ada: 12, ben: 12, cyd: 4, eve: 12, otherAda: 12 },
  memory_revisions: { ada: 3, ben: 3, cyd: 1, eve: 3, otherAda: 3 },
  idempotency_keys: { ada: 1, ben: 1, cyd: 1, eve: 1, otherAda: 1 },
  mcp_messages: { ada: 1, ben: 1, cyd: 1, eve: 1, otherAda: 1 },
  mcp_sessions: { ada: 1, ben: 1, cyd: 1, eve: 1, otherAda: 1 },
  revoked_tokens: { ada: REFUSED, ben: REFUSED, cyd: REFUSED, eve: REFUSED, otherAda: REFUSED },
};
const CAST = { ada, ben, cyd, eve, otherAda };

test("every table of the schema is expected, and has rows of both orgs", async () => {
  expect(tables).toEqual(Object.keys(EXPECTED).sort());
  for (const table of tables) {
    const [row] = await world.owner<
      { orgs: number }[]
    >`select count(distinct org_id)::int as orgs from ${world.owner(`brain.${table}`)}`;
    expect({ table, orgs: row?.orgs }).toEqual({ table, orgs: 2 });
  }
});

describe("select", () => {
  test("nobody entered: no rows, in any table", async () => {
    for (const table of tables) expect([table, isNothing(await seenIn(table, null))]).toEqual([table, true]);
  });

  test.each(Object.entries(CAST))("%s sees their own and what is shared with them", async (name, person) => {
    const [own] = await world.owner<{ org_id: string }[]>`select app.org_key(${person.org}) as org_id`;
    for (const table of tables) {
      const seen = await seenIn(table, person);
      const rows = typeof seen === "string" ? seen : seen.length;
      expect({ table, rows }).toEqual({ table, rows: EXPECTED[table]?.[name] ?? -1 });
      if (typeof seen !== "string") expect(seen.every((row) => row.org_id === own?.org_id)).toBe(true);
    }
  });

  test("a user never seen, and a known one in an org never seen, see nothing", async () => {
    for (const person of [
      { org: "acme", sub: "nobody" },
      { org: "nowhere", sub: "ada" },
    ])
      for (const table of tables) expect([table, isNothing(await seenIn(table, person))]).toEqual([table, true]);
  });
});

describe("write", () => {
  test("update and delete touch no foreign row: refused outright, or nothing found", async () => {
    for (const person of Object.values(CAST))
      for (const table of tables) {
        const columns = await world.owner<{ name: string }[]>`
          select column_name as name from information_schema.column_privileges
          where grantee = 'brain_app' and table_schema = 'brain' and table_name = ${table} and privilege_type = 'UPDATE'`;
        const seen = await seenIn(table, person);
        for (const { name } of columns) {
          // Blind: neither where nor returning, and a value that is read elsewhere. Anything of the row itself in the
          // statement would bring the select policy in and hide an update policy that is too wide.
          const value = (tx: postgres.Sql) => {
            if (name === "content") return tx`gen_random_uuid()::text`;
            if (name === "secrets") return tx`'{}'`; // nobody can read them
            return tx`(select ${tx(name)} from ${tx(`brain.${table}`)} limit 1)`;
          };
          const { count } = await as(person, (tx) => tx`update ${tx(`brain.${table}`)} set ${tx(name)} = ${value(tx)}`);
          expect({ table, name, count }).toEqual({ table, name, count: seen.length });
        }
        if (columns.length === 0)
          expect(await codeOf(as(person, (tx) => tx`update ${tx(`brain.${table}`)} set org_id = org_id`))).toBe(
            "42501",
          );
        const deleted = await as(person, async (tx) => (await tx`delete from ${tx(`brain.${table}`)}`).count).catch(
          (error: { code: string }) => error.code,
        );
        expect([table, deleted]).toEqual([table, DELETABLE.has(table) ? seen.length : "42501"]);
      }
  });

  test("an insert cannot name an org, an owner or a space that is not one's own", async () => {
    const [target] = await world.owner<
      { org_id: string; space_id: number; owner_id: string; app_id: string; id: string }[]
    >`
      select org_id, space_id, owner_id, app_id, id from brain.memories where content = 'acme ada private'`;
    if (!target) throw new Error("no target");
    for (const person of [ben, cyd, eve, otherAda]) {
      const own = await as(person, (tx) => tx<{ id: string }[]>`select id from brain.apps`);
      const row = { id: crypto.randomUUID(), app_id: own[0]?.id ?? "", app: "rest", content: "planted" };
      const insert = (values: Record<string, string | number>) =>
        codeOf(
          as(person, (tx) => tx`insert into brain.memories ${tx({ ...row, ...values } as Record<string, string>)}`),
        );
      expect(await insert({ space_id: target.space_id })).toBe("42501"); // the policy
      expect(await insert({ space_id: target.space_id, org_id: target.org_id })).toBe("42501"); // the column grant
      expect(await insert({ space_id: target.space_id, owner_id: target.owner_id })).toBe("42501");
    }
  });

  test("an insert cannot come through another's app, and answers as for a random one", async () => {
    const [foreign] = await world.owner<{ id: string }[]>`
      select apps.id from brain.apps join brain.users on users.id = owner_id where sub = 'ben'`;
    const codes = await Promise.all(
      [foreign?.id ?? "", crypto.randomUUID()].map((app_id) =>
        codeOf(
          as(ada, async (tx) => {
            const [space] = await tx<{ id: number }[]>`select id from brain.spaces where access_entity = 'user:ada'`;
            await tx`insert into brain.memories ${tx({ id: crypto.randomUUID(), space_id: space?.id ?? 0, app_id, app: "rest", content: "x" })}`;
          }),
        ),
      ),
    );
    expect(codes).toEqual(["23503", "23503"]);
  });

  test("a row cannot be moved out of sight, nor one taken in by its id", async () => {
    const [target] = await world.owner<{ id: string; space_id: number }[]>`
      select id, space_id from brain.memories where content = 'acme cyd private'`;
    expect(await codeOf(as(ada, (tx) => tx`update brain.memories set space_id = ${target?.space_id ?? 0}`))).toBe(
      "42501",
    );
    const taken = await as(
      ada,
      (tx) => tx`update brain.memories set content = 'taken' where id = ${target?.id ?? ""} returning id`,
    );
    expect(taken).toHaveLength(0);
    // The key leads with org_id: the same id in another org is another row, and no oracle.
    const own = await as(
      eve,
      (tx) =>
        tx<
          { id: string; space_id: number }[]
        >`select id, space_id from brain.spaces, lateral (select id as space_id) s where access_entity = 'user:eve'`,
    );
    const [app] = await as(eve, (tx) => tx<{ id: string }[]>`select id from brain.apps`);
    const same = {
      id: target?.id ?? "",
      space_id: own[0]?.space_id ?? 0,
      app_id: app?.id ?? "",
      app: "rest",
      content: "x",
    };
    expect(await codeOf(as(eve, (tx) => tx`insert into brain.memories ${tx(same)}`))).toBe("done");
  });
});

describe("the context", () => {
  test("vanishes with its transaction, and is set once", async () => {
    await as(ada, async () => {});
    expect(await as(null, (tx) => tx`select from brain.memories`)).toHaveLength(0);
    expect(await codeOf(as(ada, (tx) => tx`select app.enter('umbrella', 'eve', 'x', '{user:eve}')`))).toBe("P0001");
  });

  test("is set in every transaction, as are UTC and the time limits", async () => {
    const [settings] = await as(
      ada,
      (tx) => tx<Record<string, string>[]>`
      select current_setting('app.current_user_id') as user_id, app.current_sub() as sub,
             current_setting('TimeZone') as zone, current_setting('statement_timeout') as statement_timeout,
             current_setting('lock_timeout') as lock_timeout,
             current_setting('idle_in_transaction_session_timeout') as idle_timeout`,
    );
    expect(settings).toEqual({
      user_id: expect.stringMatching(/^[\da-f-]{36}$/),
      sub: "ada",
      zone: "UTC",
      statement_timeout: "15s",
      lock_timeout: "5s",
      idle_timeout: "15s",
    });
  });

  test("works in a read only transaction, and search writes nothing", async () => {
    const found = await service.begin("read only", async (tx) => {
      await tx`select app.enter('acme', 'ada', 'x', '{user:ada,project:acme/web}')`;
      return lexicalHits(tx as never, parseQuery("private"), await termsOf(tx as never, "private", null), REACH);
    });
    expect(found).toMatchObject({ total: 1 });
  });

  test("search without a context finds nothing", async () => {
    expect(await as(null, (tx) => termsOf(tx as never, "private", null))).toEqual([]);
  });

  test("another user's space is no grant, whoever says so", async () => {
    const spaces = await undone(service, async (tx) => {
      await tx`select app.enter('acme', 'cyd', 'x', '{user:ada,user:ben}')`;
      return tx`select access_entity from brain.spaces`;
    });
    expect(spaces.map((space) => space.access_entity)).toEqual(["user:cyd"]);
  });

  test("a read of the service's cannot write", async () => {
    const identity = {
      org: "acme",
      sub: "ada",
      jti: "x",
      scopes: new Set<string>(),
      grants: ["user:ada"],
      expires_at: 0,
    };
    const caller = world.database.callerFor(identity, "rest", "");
    const write = caller.read((tx) => tx`update brain.memories set content = 'x'`);
    expect(await codeOf(write)).toBe("25006");
  });

  test("two orgs whose names make one key are not one org", async () => {
    await world.owner`insert into brain.orgs (org_id, name) values (app.org_key('genuine'), 'planted')`;
    const entered = await service.begin((tx) => tx`select app.enter('genuine', 'x', 'x', '{}') as entered`);
    expect(entered[0]?.entered).toBe(false);
    expect(await codeOf(service.begin((tx) => tx`select app.provision('genuine', 'x', '{}', '{}', 'rest')`))).toBe(
      "P0001",
    );
    await world.owner`delete from brain.orgs where name = 'planted'`;
  });

  test("provisioning waits no longer than a request", async () => {
    const limit = await service.begin(async (tx) => {
      await tx`select app.provision('acme', 'ada', '{}', '{}', 'rest')`;
      return tx`select current_setting('statement_timeout') as statement_timeout`;
    });
    expect(limit[0]?.statement_timeout).toBe("15s");
  });

  test("provisioning opens no space the grants do not cover", async () => {
    for (const space of ["user:ada", "org:acme", "project:acme", "team:acme/web"])
      expect(
        await codeOf(
          service.begin((tx) => tx`select app.provision('acme', 'cyd', '{project:acme/web}', ${[space]}, 'rest')`),
        ),
      ).toBe("BRN02");
  });
});
