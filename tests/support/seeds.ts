import type postgres from "postgres";

/** Statements for schemas from one migration on, up to the one that made others of them. */
interface Seed {
  from: number;
  until?: number;
  sql: string;
}

let turns = 0;

/** Stores rows in every table there is after a migration: as the owner, as ada of acme above all. Any number of times. */
export async function seed(owner: postgres.Sql, migration: number): Promise<void> {
  const turn = String(++turns);
  await owner.begin(async (tx) => {
    for (const { from, until = Infinity, sql } of SEEDS)
      if (from <= migration && migration < until) await tx.unsafe(sql.replaceAll(":turn", turn));
  });
}

/** What triggers write is left to them. `:turn` is another number each time. */
const SEEDS: readonly Seed[] = [
  {
    from: 1,
    sql: `
    select app.provision('acme', 'ada', '{project:acme/web}', '{project:acme/web}', 'rest'),
           app.provision('acme', 'ben', '{project:acme/web}', '{}', 'cursor'),
           app.provision('umbrella', 'eve', '{}', '{}', 'rest');
    insert into brain.revoked_tokens (org_id, jti, expires_at)
    values (app.org_key('acme'), 'jti-:turn', now() + interval '1 day'), (app.org_key('umbrella'), 'jti-:turn', now());
    select set_config('app.current_org_id', app.org_key('acme')::text, true), set_config('app.current_sub', 'ada', true),
           set_config('app.current_app', 'rest', true),
           set_config('app.current_user_id', (
             select id::text from brain.users where org_id = app.org_key('acme') and sub = 'ada'), true);
    insert into brain.memories (org_id, id, space_id, owner_id, owner, app_id, app, content, category, entities, thread, tags,
                                metadata, state, archived_at, deleted_at, created_at, updated_at)
    select users.org_id, gen_random_uuid(), spaces.id, users.id, users.sub, apps.id, apps.name,
           format('%s: %s says that the gateway retries.', content, users.sub) || ' :turn', 'decision', '{Gateway,BillingService}',
           'thread', '{"team": "web", "decided_on": "2026-03-01"}', '{"b": 1, "a": null}', state,
           case state when 'archived' then now() end, case state when 'deleted' then now() end,
           timestamptz '2026-01-01', timestamptz '2026-01-02'
    from brain.users
    join brain.spaces on spaces.org_id = users.org_id and access_entity in ('user:' || sub, 'project:acme/web')
    join brain.apps on apps.org_id = users.org_id and owner_id = users.id
    cross join (values ('src/gateway.ts', 'active'), ('Over ü', 'paused'), ('Old', 'archived'), ('Gone', 'deleted')) as told (content, state);
    update brain.memories set content = content || ' Again.' where owner = 'ada' and content like 'Over%:turn';`,
  },
  {
    from: 2,
    sql: `
    update brain.memories set content = content || ' And again.', updated_by = 'ben'
    where owner = 'ada' and content like '%retries. :turn%' and state <> 'deleted';
    insert into brain.idempotency_keys (key, fingerprint) values ('key-:turn', 'f');`,
  },
  {
    from: 1,
    until: 2,
    sql: `
    insert into brain.memories (org_id, id, space_id, owner_id, owner, app_id, app, content)
    select org_id, gen_random_uuid(), space_id, owner_id, owner, app_id, app, content from brain.memories
    where state = 'active' limit 1`,
  },
  {
    from: 1,
    until: 3,
    sql: "insert into brain.revoked_tokens (org_id, jti, expires_at) values (app.org_key('acme'), '', now()) on conflict do nothing",
  },
  { from: 2, until: 4, sql: "insert into brain.mcp_sessions (id, client) values (md5(':turn'), 'cursor')" },
  {
    from: 3,
    sql: `
    insert into brain.memories (id, space_id, app_id, app, content, supersedes)
    select gen_random_uuid(), space_id, app_id, app, 'Instead: :turn', id from brain.memories
    where owner = 'ada' and state = 'active' and content like '%retries. :turn%' limit 1;
    select app.seal_audit(1000);`,
  },
  {
    from: 4,
    sql: `
    insert into brain.mcp_sessions (id, client, holder, toolsets) values (md5('held :turn'), 'cursor', gen_random_uuid(), '{graph}');
    insert into brain.mcp_messages (session_id, body) values (md5('held :turn'), '{}');`,
  },
  {
    from: 5,
    sql: `
    insert into brain.entities (space_id, key, display_name)
    select id, name || ':turn', name from brain.spaces, unnest(array['one', 'two', 'three']) as name
    where org_id = app.current_org_id() and access_entity = 'user:ada';
    update brain.entities set merged_into = 'one:turn' where key = 'two:turn';
    insert into brain.relations (id, space_id, from_key, to_key, type, app)
    select gen_random_uuid(), space_id, 'one:turn', 'three:turn', 'calls', 'rest' from brain.entities where key = 'one:turn';
    with event as (
      insert into brain.events (id, space_id, name, type, start_date, app)
      select gen_random_uuid(), space_id, 'Release :turn', 'release', '2026-03', 'rest' from brain.entities where key = 'one:turn'
      returning space_id, id)
    insert into brain.event_entities (space_id, event_id, key) select space_id, id, 'three:turn' from event;
    insert into brain.entity_merges (id, space_id, key, variants)
    select gen_random_uuid(), space_id, key, '[{"key": "two", "was": null}]' from brain.entities where key = 'one:turn';
    select app.log_recalls(jsonb_build_array(jsonb_build_object(
      'org', 'acme', 'sub', 'ada', 'app', 'rest', 'kind', 'get', 'at', now(),
      'memory_ids', (select array_agg(id) from brain.memories where owner = 'ada'))));
    insert into brain.settings (org_id, settings, secrets, updated_by)
    values (app.current_org_id(), '{"retention": {"recall_days": 30}}', '{"a": "b"}', 'ada')
    on conflict (org_id) do update set settings = excluded.settings;
    update brain.apps set is_active = false where name = 'cursor';`,
  },
  {
    from: 9,
    sql: `
    select app.open_embedding_spaces('model', 8);
    insert into brain.memory_embeddings (space_id, embedding_space, memory_id, code, vector)
    select space_id, 1, id, B'10101010', '8 vector' from brain.memories where owner = 'ada' and state = 'active'
    on conflict do nothing;`,
  },
  {
    from: 13,
    sql: "insert into ops.migration_runs (kind, result, ended_at, release) values ('migrate', 'failed', now(), '0.1.0')",
  },
  {
    from: 17,
    sql: `
    update brain.memory_embeddings set vector = '8 vectorfour'
    where memory_id = (select min(memory_id::text)::uuid from brain.memory_embeddings)`,
  },
];
