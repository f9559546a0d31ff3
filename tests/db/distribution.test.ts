import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import postgres from "postgres";
import { freshDatabase, type TestDatabase } from "../support/server.ts";
import { undone } from "../support/undo.ts";

/**
 * Whether every table could be distributed by org_id over several machines (Citus), by what the catalog says: its keys,
 * references and columns. Nothing here runs on Citus.
 */
let database: TestDatabase;
let owner: postgres.Sql;
beforeAll(async () => {
  database = await freshDatabase();
  owner = postgres(database.owner_url, { max: 1, onnotice: () => {} });
});
afterAll(async () => {
  await owner.end();
  await database.drop();
});

/** What stands in the way, and what would be done about it: docs/operations.md tells the same. */
const TRIGGERS = "Citus takes triggers on distributed tables only with citus.enable_unsafe_triggers";
const IN_THE_WAY: Record<string, string> = {
  "apps: has triggers": TRIGGERS,
  "spaces: id is an identity and no bigint":
    "Citus before 12 refuses it, later ones give such a number out on the coordinator alone",
  "entities: has triggers": TRIGGERS,
  "entity_merges: has triggers": TRIGGERS,
  "event_entities: has triggers": TRIGGERS,
  "events: has triggers": TRIGGERS,
  "memories: has triggers": TRIGGERS,
  "relations: has triggers": TRIGGERS,
  "settings: has triggers": TRIGGERS,
};

async function inTheWay(sql: postgres.Sql | postgres.TransactionSql): Promise<string[]> {
  const rows = await sql<{ fault: string }[]>`
    with tables as (
      select pg_class.oid, relname as name, attnum as org
      from pg_class
      left join pg_attribute on attrelid = pg_class.oid and attname = 'org_id' and not attisdropped
      where relnamespace = 'brain'::regnamespace and relkind in ('r', 'p')
    )
    select name || ': no org_id' as fault from tables where org is null
    union all
    select name || ': ' || indexrelid::regclass::text || ' is unique over all orgs' from tables
    join pg_index on indrelid = tables.oid
    where (indisunique or indisexclusion) and not coalesce(org = any (indkey[0:indnkeyatts - 1]), false)
    union all
    select tables.name || ': ' || conname || ' does not go from org_id to org_id' from tables
    join pg_constraint on conrelid = tables.oid and contype = 'f'
    left join tables as others on others.oid = confrelid
    where array_position(conkey, tables.org) is distinct from array_position(confkey, others.org)
       or array_position(conkey, tables.org) is null
    union all
    select tables.name || ': ' || conname || ' would set org_id' from tables
    join pg_constraint on conrelid = tables.oid and contype = 'f'
    where confdeltype in ('n', 'd') or confupdtype <> 'a'
    union all
    select name || ': org_id is generated' from tables
    join pg_attribute on attrelid = tables.oid and attnum = org
    where attgenerated <> '' or attidentity <> ''
    union all
    select name || ': ' || attname || ' is an identity and no bigint' from tables
    join pg_attribute on attrelid = tables.oid
    where attidentity <> '' and atttypid <> 'bigint'::regtype
    union all
    select name || ': has triggers' from tables
    where exists (select from pg_trigger where tgrelid = tables.oid and not tgisinternal)
    order by fault`;
  return rows.map(({ fault }) => fault);
}

test("every table is distributed by org_id, but for what is known to stand in the way", async () => {
  expect(await inTheWay(owner)).toEqual(Object.keys(IN_THE_WAY).sort());
});

describe("the walk finds", () => {
  test.each([
    ["a table of no org", "create table brain.t (id uuid primary key)", "t: no org_id"],
    [
      "a key over all orgs",
      "create table brain.t (org_id uuid, id uuid primary key)",
      "t: brain.t_pkey is unique over all orgs",
    ],
    [
      "a unique index over all orgs",
      "create unique index one_content on brain.memories (content_key) include (org_id)",
      "memories: brain.one_content is unique over all orgs",
    ],
    [
      "a reference without the org",
      "alter table brain.users add constraint other unique (id); alter table brain.apps add constraint pick foreign key (owner_id) references brain.users (id)",
      "apps: pick does not go from org_id to org_id",
    ],
    [
      "a reference that sets to null",
      "alter table brain.apps add constraint pick foreign key (org_id, owner_id) references brain.users (org_id, id) on delete set null",
      "apps: pick would set org_id",
    ],
    [
      "a small number that counts up",
      "create table brain.t (org_id uuid, n int generated always as identity, primary key (org_id, n))",
      "t: n is an identity and no bigint",
    ],
  ])("%s", async (_what, change, fault) => {
    await undone(owner, async (tx) => {
      await tx.unsafe(change);
      expect(await inTheWay(tx)).toContain(fault);
    });
  });
});
