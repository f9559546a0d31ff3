import type postgres from "postgres";

/** The rules there are, as PostgreSQL prints them. A table with a space_id has the first, whole and nothing beside it. */
const OWN_ORG = "(org_id = ( SELECT app.current_org_id() AS current_org_id))";
const WITHIN_SPACES = `(${OWN_ORG} AND (space_id = ANY (( SELECT app.current_spaces() AS current_spaces)::integer[])))`;
const OWN = `(${OWN_ORG} AND (%s = ( SELECT app.current_user_id() AS current_user_id)))`;
const NOBODY = `(${OWN_ORG} AND false)`;

/** What is wrong with the catalog of a database, as sentences; none is right. Schemas brain and app. */
export async function catalogFaults(sql: postgres.ISql): Promise<string[]> {
  const faults = await sql<{ fault: string }[]>`
    with tables as (
      select pg_class.oid, relname as name, relrowsecurity
      from pg_class
      where relnamespace = 'brain'::regnamespace and relkind in ('r', 'p')
    ),
    functions as (
      select oid, oid::regprocedure::text as name, prosecdef, provolatile, proconfig, proacl, proowner, prosrc, prorettype
      from pg_proc
      where pronamespace in ('app'::regnamespace, 'brain'::regnamespace)
    ),
    keys as (
      select tables.name, conname,
             (select attname from pg_attribute where attrelid = conrelid and attnum = conkey[1]) as first_column,
             (select attname from pg_attribute where attrelid = confrelid and attnum = confkey[1]) as first_referenced
      from pg_constraint
      join tables on tables.oid = conrelid
      where contype in ('p', 'u', 'f')
    )
    select name || ': row security is off' as fault from tables where not relrowsecurity
    union all
    select name || ': no policy' from tables
    where not exists (select from pg_policy where polrelid = tables.oid)
    union all
    select name || ': two policies for one command' from tables
    join pg_policy on polrelid = tables.oid
    cross join unnest(case polcmd when '*' then array['r', 'a', 'w', 'd'] else array[polcmd::text] end) as command
    group by name, command having count(*) > 1
    union all
    select tables.name || ': the policy ' || polname || ' is open to more than brain_app' from tables
    join pg_policy on polrelid = tables.oid
    where polroles <> array['brain_app'::regrole::oid]
    union all
    select tables.name || ': the policy ' || polname || ' has a rule nobody has looked at' from tables
    join pg_policy on polrelid = tables.oid
    cross join lateral (values (pg_get_expr(polqual, polrelid)), (pg_get_expr(polwithcheck, polrelid))) as rules (rule)
    where rule is not null and rule <> case
      when tables.name in ('revoked_tokens', 'audit_events', 'audit_chains', 'jobs') then ${NOBODY}
      when exists (select from pg_attribute where attrelid = tables.oid and attname = 'space_id') then ${WITHIN_SPACES}
      when tables.name = 'spaces' then replace(${WITHIN_SPACES}, 'space_id', 'id')
      when tables.name in ('orgs', 'settings', 'embedding_spaces') then ${OWN_ORG}
      when tables.name = 'users' then format(${OWN}::text, 'id')
      when tables.name in ('idempotency_keys', 'mcp_sessions', 'mcp_messages') then format(${OWN}::text, 'user_id')
      else format(${OWN}::text, 'owner_id')
    end
    union all
    select name || ': no org_id that is not null' from tables
    where not exists (
      select from pg_attribute where attrelid = tables.oid and attname = 'org_id' and attnotnull and atttypid = 'uuid'::regtype
    )
    union all
    select name || ': ' || conname || ' does not begin with org_id' from keys
    where first_column <> 'org_id' or first_referenced <> 'org_id'
    union all
    select tables.name || ': the index ' || indexrelid::regclass || ' does not begin with org_id' from tables
    join pg_index on indrelid = tables.oid
    where (select attname from pg_attribute where attrelid = indrelid and attnum = indkey[0]) is distinct from 'org_id'
    union all
    select name || ': a column of an enum type' from tables
    join pg_attribute on attrelid = tables.oid
    join pg_type on pg_type.oid = atttypid
    where typtype = 'e'
    union all
    select oid::regclass || ': a view without security_invoker, or a materialized one'
    from pg_class
    where relnamespace in ('app'::regnamespace, 'brain'::regnamespace)
      and (relkind = 'm' or relkind = 'v' and not coalesce(reloptions, '{}') @> array['security_invoker=true'])
    union all
    select name || ': a context function that is not stable' from functions
    where name like 'app.current_%' and provolatile <> 's'
    union all
    select name || ': a definer function whose search_path is not pinned' from functions
    where prosecdef and not coalesce(proconfig, '{}') @> array['search_path=pg_catalog, pg_temp']
    union all
    select name || ': everybody may execute it' from functions
    cross join lateral aclexplode(coalesce(proacl, acldefault('f', proowner))) as granted
    where granted.grantee = 0
    union all
    select name || ': a definer function nobody has looked at' from functions
    where prosecdef and name not in (
      'app.enter(text,text,text,text[],text,text)', 'app.provision(text,text,text[],text[],text)', 'app.schema_state()',
      'app.tg_memories__terms()', 'app.tg_memories__sizes()', 'app.tg_memories__embed()', 'app.open_embedding_spaces(text,integer)',
      'app.claim_jobs(integer)', 'app.finish_job(uuid)', 'app.fail_job(text,uuid,text)', 'app.tg_memories__keep_revision()',
      'app.revoke_token(text,timestamp with time zone)', 'app.tg_memories__audit()',
      'app.audit_denied(text,text,text,text,text,text)', 'app.seal_audit(integer)',
      'app.log_recalls(jsonb)', 'app.recalls_of(uuid,integer)', 'app.tg_memories__tag()', 'app.purge_expired(integer)', 'app.derive(uuid,uuid[],boolean)', 'app.tg_memories__derive()',
      'app.tg__audit()', 'app.tg_apps__audit()', 'app.tg_settings__audit()', 'app.read_audit(text,text[],text,text,text,timestamp with time zone,timestamp with time zone,timestamp with time zone,uuid,integer)'
    )
    union all
    select relname || ': granted, and outside the schemas brain and app'
    from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace
    cross join lateral aclexplode(relacl) as granted
    where nspname not in ('brain', 'app', 'pg_catalog', 'information_schema', 'graphile_migrate')
      and granted.grantee in ('brain_app'::regrole, 0)
      -- An extension's view, such as pg_stat_statements, is open by its own making.
      and not exists (select from pg_depend where classid = 'pg_class'::regclass and objid = pg_class.oid and deptype = 'e')
    union all
    select tables.name || ': everybody may ' || granted.privilege_type from tables
    join pg_class on pg_class.oid = tables.oid
    cross join lateral aclexplode(relacl) as granted
    where granted.grantee = 0
    union all
    select nspname || ': everybody may use or create in it' from pg_namespace
    cross join lateral aclexplode(coalesce(nspacl, acldefault('n', nspowner))) as granted
    where nspname in ('app', 'brain', 'graphile_migrate', 'ops') and granted.grantee = 0
    union all
    select 'the database: everybody may ' || granted.privilege_type from pg_database
    cross join lateral aclexplode(coalesce(datacl, acldefault('d', datdba))) as granted
    where datname = current_database() and granted.grantee = 0
    union all
    select 'brain_app: owns, bypasses, creates or logs in' from pg_roles
    where rolname = 'brain_app'
      and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication or rolcanlogin
           or exists (select from pg_class where relowner = pg_roles.oid) or exists (select from pg_proc where proowner = pg_roles.oid))
    union all
    select tables.name || ': brain_app may ' || granted.privilege_type || ' the whole table' from tables
    join pg_class on pg_class.oid = tables.oid
    cross join lateral aclexplode(coalesce(relacl, acldefault('r', relowner))) as granted
    where granted.grantee = 'brain_app'::regrole and granted.privilege_type <> 'SELECT'
      -- What lives for a while only is really deleted, by its own user; what was said of entities by whoever may write there.
      and (granted.privilege_type <> 'DELETE' or tables.name not in ('idempotency_keys', 'mcp_sessions', 'mcp_messages', 'relations', 'events'))
    union all
    select tables.name || ': brain_app may ' || granted.privilege_type || ' ' || attname from tables
    join pg_attribute on attrelid = tables.oid and attacl is not null
    cross join lateral aclexplode(attacl) as granted
    where granted.grantee = 'brain_app'::regrole and granted.privilege_type <> 'SELECT'
      and (attname in ('org_id', 'owner_id', 'owner', 'created_at', 'updated_at', 'revision', 'archived_at', 'deleted_at')
           -- Where a row came from is said once.
           or granted.privilege_type = 'UPDATE' and attname in ('id', 'app', 'app_id'))
    order by fault`;
  return faults.map(({ fault }) => fault);
}
