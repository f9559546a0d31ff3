import type postgres from "postgres";

/** Everything in schemas brain and app that sql/ or a migration can make, as text to compare. */
export async function catalogOf(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ item: string }[]>`
    select 'function ' || pg_get_functiondef(oid) || ' acl ' || coalesce(proacl::text, 'default') as item
    from pg_proc where pronamespace in ('app'::regnamespace, 'brain'::regnamespace)
    union all
    select format('policy %s on %s for %s to %s using %s check %s', polname, polrelid::regclass, polcmd,
                  polroles::regrole[], pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
    from pg_policy
    union all
    select 'trigger ' || pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
    union all
    select format('table %s row security %s %s acl %s', oid::regclass, relrowsecurity, relforcerowsecurity, relacl)
    from pg_class where relnamespace = 'brain'::regnamespace and relkind = 'r'
    union all
    select format('column %s.%s %s %s acl %s', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull, attacl)
    from pg_attribute where attrelid in (select oid from pg_class where relnamespace = 'brain'::regnamespace and relkind = 'r')
      and attnum > 0
    union all
    select format('schema %s acl %s', nspname, nspacl) from pg_namespace where nspname in ('app', 'brain')
    union all
    select format('comment %s %s', objoid, description) from pg_description
    where objoid in (select oid from pg_proc where pronamespace = 'app'::regnamespace)
    order by item`;
  return rows.map(({ item }) => item);
}
