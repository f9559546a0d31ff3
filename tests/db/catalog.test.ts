import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import postgres from "postgres";
import { catalogFaults } from "../../src/ops/catalog.ts";
import { freshDatabase, type TestDatabase } from "../support/server.ts";
import { undone } from "../support/undo.ts";

let database: TestDatabase;
let owner: postgres.Sql;
let service: postgres.Sql;
beforeAll(async () => {
  database = await freshDatabase();
  owner = postgres(database.owner_url, { max: 1, onnotice: () => {} });
  service = postgres(database.service_url, { max: 1, onnotice: () => {} });
});
afterAll(async () => {
  await Promise.all([owner.end(), service.end()]);
  await database.drop();
});

test("nothing in the catalog is at fault", async () => {
  expect(await catalogFaults(owner)).toEqual([]);
});

/** Each way to break the wall, and what the lint says of it. The lint is worth what it catches. */
describe("the lint catches", () => {
  test.each([
    [
      "a table without row security",
      "create table brain.t (org_id uuid not null primary key)",
      "t: row security is off",
    ],
    ["a policy dropped", "drop policy within_spaces on brain.memories", "memories: no policy"],
    ["row security switched off", "alter table brain.spaces disable row level security", "spaces: row security is off"],
    [
      "a second, wider policy",
      "create policy all_of_it on brain.memories to brain_app using (true)",
      "memories: two policies for one command",
    ],
    [
      "a policy for everybody",
      "alter policy within_spaces on brain.memories to public",
      "memories: the policy within_spaces is open to more than brain_app",
    ],
    [
      "a policy that forgets the org",
      "alter policy own_user on brain.users using (id = app.current_user_id())",
      "users: the policy own_user has a rule nobody has looked at",
    ],
    [
      "a key over all orgs",
      "alter table brain.users add constraint one_sub unique (sub)",
      "users: one_sub does not begin with org_id",
    ],
    [
      "a reference whose other side begins elsewhere",
      "alter table brain.users add constraint swapped unique (id, org_id); alter table brain.apps add constraint pick foreign key (owner_id, org_id) references brain.users (id, org_id)",
      "apps: pick does not begin with org_id",
    ],
    [
      "a second policy for one command beside one for all",
      "create policy wide on brain.memories for update to brain_app using (org_id = (select app.current_org_id()))",
      "memories: two policies for one command",
    ],
    [
      "a policy that forgets the spaces",
      "alter policy within_spaces on brain.memories using (org_id = (select app.current_org_id()))",
      "memories: the policy within_spaces has a rule nobody has looked at",
    ],
    [
      "a rule with a way around it",
      "alter policy own_org on brain.orgs using (org_id = (select app.current_org_id()) or true)",
      "orgs: the policy own_org has a rule nobody has looked at",
    ],
    [
      "a view elsewhere",
      "create view public.peek as select * from brain.memories; grant select on public.peek to brain_app",
      "peek: granted, and outside the schemas brain and app",
    ],
    ["a table for everybody", "grant select on brain.memories to public", "memories: everybody may SELECT"],
    [
      "a view that sees as its owner",
      "create view brain.v as select * from brain.memories",
      "brain.v: a view without security_invoker, or a materialized one",
    ],
    [
      "an immutable context function",
      "alter function app.current_org_id() immutable",
      "app.current_org_id(): a context function that is not stable",
    ],
    [
      "an unpinned definer function",
      "alter function app.enter(text, text, text, text[], text, text) reset search_path",
      "app.enter(text,text,text,text[],text,text): a definer function whose search_path is not pinned",
    ],
    [
      "a new definer function",
      "create function app.f() returns int language sql security definer set search_path = pg_catalog, pg_temp as 'select 1'",
      "app.f(): a definer function nobody has looked at",
    ],
    [
      "a function for everybody",
      "grant execute on function app.org_key(text) to public",
      "app.org_key(text): everybody may execute it",
    ],
    [
      "a grant on a whole table",
      "grant insert on brain.memories to brain_app",
      "memories: brain_app may INSERT the whole table",
    ],
    [
      "a grant on a column that is fixed",
      "grant update (owner) on brain.memories to brain_app",
      "memories: brain_app may UPDATE owner",
    ],
    [
      "a grant to say through which app a memory came, afterwards",
      "grant update (app) on brain.memories to brain_app",
      "memories: brain_app may UPDATE app",
    ],
    [
      "an enum",
      "create type brain.e as enum ('a'); alter table brain.apps add column e brain.e",
      "apps: a column of an enum type",
    ],
    [
      "an index that begins elsewhere",
      "create index elsewhere on brain.memories (created_at)",
      "memories: the index brain.elsewhere does not begin with org_id",
    ],
    ["a table without org_id", "create table brain.t (id int primary key)", "t: no org_id that is not null"],
  ])("%s", async (_what, statement, fault) => {
    const found = await undone(owner, async (tx) => {
      await tx.unsafe(statement);
      return catalogFaults(tx);
    });
    expect(found).toContain(fault);
  });
});

test("what the service may do, as a whole", async () => {
  const granted = await owner<{ line: string }[]>`
    select table_name || ' ' || lower(privilege_type) || ': ' || string_agg(column_name, ' ' order by ordinal_position) as line
    from (
      select p.table_name, p.privilege_type, p.column_name, c.ordinal_position
      from information_schema.column_privileges p
      join information_schema.columns c using (table_schema, table_name, column_name)
      where grantee = 'brain_app' and privilege_type <> 'SELECT'
    ) as privileges
    group by table_name, privilege_type
    union all
    select table_name || ' ' || lower(privilege_type)
    from information_schema.table_privileges where grantee = 'brain_app'
    union all
    select routine_name from information_schema.routine_privileges where grantee = 'brain_app'
    order by line`;
  expect(granted.map(({ line }) => line)).toMatchInlineSnapshot(`
    [
      "access_keys",
      "apps select",
      "apps update: is_active",
      "audit_denied",
      "claim_jobs",
      "content_key",
      "counted",
      "current_org_id",
      "current_spaces",
      "current_sub",
      "current_user_id",
      "embedding_spaces select",
      "enter",
      "entities insert: space_id key display_name",
      "entities select",
      "entities update: merged_into",
      "entity_key",
      "entity_merges insert: id space_id key variants",
      "entity_merges select",
      "entity_merges update: undone_at",
      "event_entities insert: space_id event_id key",
      "event_entities select",
      "events delete",
      "events insert: id space_id name type start_date end_date description memory_id app",
      "events select",
      "fail_job",
      "finish_job",
      "held_grants",
      "idempotency_keys delete",
      "idempotency_keys insert: key fingerprint",
      "idempotency_keys select",
      "idempotency_keys update: result",
      "is_date",
      "keys_in",
      "log_recalls",
      "mcp_messages delete",
      "mcp_messages insert: session_id body",
      "mcp_messages select",
      "mcp_sessions delete",
      "mcp_sessions insert: id client holder toolsets",
      "mcp_sessions select",
      "mcp_sessions update: touched_at log_level",
      "memories insert: id space_id app_id app content category artifact_type artifact_ref entities thread evidence tags code_refs source metadata state supersedes",
      "memories select",
      "memories update: space_id content category artifact_type artifact_ref entities thread evidence tags code_refs source metadata state supersedes",
      "memory_access_log select",
      "memory_embeddings insert: space_id embedding_space memory_id code vector",
      "memory_embeddings select",
      "memory_entities select",
      "memory_revisions select",
      "memory_tags select",
      "memory_terms select",
      "mentions select",
      "open_embedding_spaces",
      "orgs select",
      "parted",
      "provision",
      "purge_expired",
      "read_audit",
      "recalls_of",
      "relations delete",
      "relations insert: id space_id from_key to_key type memory_id app",
      "relations select",
      "revoke_token",
      "runs_in",
      "schema_state",
      "seal_audit",
      "settings insert: settings secrets",
      "settings update: settings secrets",
      "space_sizes select",
      "space_words select",
      "spaces select",
      "spelt",
      "tag_key",
      "users select",
      "without_signs",
      "words_in",
    ]
  `);
});

test.each([
  "truncate brain.memories",
  "delete from brain.memories",
  "create table brain.mine (id int)",
  "create table public.mine (id int)",
  "create temporary table mine (id int)",
  "create schema mine",
  "alter table brain.memories disable row level security",
  "drop policy within_spaces on brain.memories",
  "set role brain_app; alter function app.current_org_id() immutable",
  "select * from brain.revoked_tokens where app.org_key('acme') is null",
  "select * from graphile_migrate.migrations",
  "insert into brain.users (org_id, sub) values (gen_random_uuid(), 'x')",
  "insert into brain.spaces (org_id, access_entity) values (gen_random_uuid(), 'org:x')",
  "update brain.apps set name = 'x'",
  "select secrets from brain.settings",
  "insert into brain.memory_access_log (org_id) values (gen_random_uuid())",
  "update brain.memory_entities set is_active = true",
  "delete from brain.memory_tags",
  "select app.derive(gen_random_uuid(), '{}', true)",
  "update brain.memories set owner = 'x'",
  "update brain.memories set org_id = gen_random_uuid()",
  "update brain.memories set revision = 1",
  "insert into brain.memories (org_id) values (gen_random_uuid())",
  "update brain.memories set app = 'x'",
  "update brain.memories set app_id = gen_random_uuid()",
  ...["audit_events", "audit_chains", "memory_revisions"].flatMap((table) => [
    `insert into brain.${table} (org_id) values (gen_random_uuid())`,
    `update brain.${table} set org_id = org_id`,
    `delete from brain.${table}`,
    `truncate brain.${table}`,
    `alter table brain.${table} disable trigger all`,
  ]),
  "select * from brain.audit_events",
  "select * from brain.audit_chains",
])("the service may not: %s", async (statement) => {
  await expect(service.unsafe(statement).simple()).rejects.toMatchObject({ code: "42501" });
});
