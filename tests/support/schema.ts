import type postgres from "postgres";

/** The schemas that are PostgreSQL's or graphile-migrate's. */
const NOT_OURS = ["pg_catalog", "information_schema", "pg_toast", "graphile_migrate"];

/**
 * All a migration can make in a database, as text to compare, objects by name. The place of a column among the others
 * is not in it: one that is put back stands at the end.
 */
export async function schemaOf(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ item: string }[]>`
    with ours as (
      select oid, nspname, nspacl, nspowner from pg_namespace
      where nspname <> all (${NOT_OURS}) and nspname not like 'pg\\_%'
    ),
    relations as (
      select pg_class.* from pg_class join ours on ours.oid = relnamespace
      where not exists (select from pg_depend where objid = pg_class.oid and deptype = 'e')
    ),
    functions as (
      select pg_proc.* from pg_proc join ours on ours.oid = pronamespace
      where not exists (select from pg_depend where objid = pg_proc.oid and deptype = 'e')
    ),
    items as (
      select format('schema %s owner %s acl %s', nspname, nspowner::regrole, nspacl) as item from ours
      union all
      select format('extension %s %s', extname, extversion) from pg_extension
      union all
      select format('default privileges %s %s %s', defaclrole::regrole, defaclobjtype, defaclacl) from pg_default_acl
      union all
      select format('%s %s row security %s %s owner %s acl %s options %s', relkind, oid::regclass, relrowsecurity,
                    relforcerowsecurity, relowner::regrole, array(select unnest(relacl)::text order by 1), reloptions)
      from relations where relkind <> 'i'
      union all
      select format('view %s %s', oid::regclass, pg_get_viewdef(oid)) from relations where relkind = 'v'
      union all
      select format('index %s %s', relations.reloptions, pg_get_indexdef(oid)) from relations where relkind = 'i'
      union all
      select format('column %s.%s %s collation %s not null %s identity %s generated %s default %s acl %s',
                    attrelid::regclass, attname, format_type(atttypid, atttypmod), attcollation, attnotnull,
                    attidentity, attgenerated, pg_get_expr(adbin, adrelid),
                    array(select unnest(attacl)::text order by 1))
      from pg_attribute
      join relations on relations.oid = attrelid
      left join pg_attrdef on adrelid = attrelid and adnum = attnum
      where attnum > 0 and not attisdropped and relkind in ('r', 'p', 'v')
      union all
      select format('options of %s.%s %s', attrelid::regclass, attname, attoptions)
      from pg_attribute join relations on relations.oid = attrelid
      where attoptions is not null
      union all
      select format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
      from pg_constraint where connamespace in (select oid from ours)
      union all
      select format('policy %s on %s %s for %s to %s using %s check %s', polname, polrelid::regclass, polpermissive, polcmd,
                    polroles::regrole[], pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
      from pg_policy
      union all
      select format('trigger %s %s', tgenabled, pg_get_triggerdef(oid)) from pg_trigger where not tgisinternal
      union all
      select format('function %s owner %s acl %s', pg_get_functiondef(oid), proowner::regrole,
                    array(select unnest(proacl)::text order by 1))
      from functions where prokind <> 'a'
      union all
      select format('type %s', typname) from pg_type join ours on ours.oid = typnamespace
      where not exists (select from pg_depend where objid = pg_type.oid and deptype = 'e')
      union all
      select format('comment on %s %s: %s', type, identity, description)
      from pg_description cross join lateral pg_identify_object(classoid, objoid, objsubid)
      where schema in (select nspname from ours) or type = 'schema' and identity in (select nspname from ours)
    )
    select item from items order by item collate "C"`;
  return rows.map(({ item }) => item);
}

/** By table. */
export type Rows = Record<string, string[]>;

/** The tables of the schema brain, and of each the rows as text, in any order the same. */
export async function rowsOf(sql: postgres.Sql, leave_out: readonly string[] = []): Promise<Rows> {
  const tables = await sql<{ name: string }[]>`
    select relname as name from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where nspname = 'brain' and relkind = 'r' order by relname`;
  const found: Rows = {};
  for (const { name } of tables) {
    const volatile = leave_out
      .filter((column) => column.startsWith(`${name}.`))
      .map((column) => column.slice(name.length + 1));
    const rows = await sql<{ row: string }[]>`
      select (to_jsonb(one) - ${volatile}::text[])::text as row from ${sql(`brain.${name}`)} as one order by 1`;
    found[name] = rows.map(({ row }) => row);
  }
  return found;
}
