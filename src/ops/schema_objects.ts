import type postgres from "postgres";

/** Every object of our schemas, as `kind name`, with the SHA-256 of what it is. */
export type SchemaObjects = Readonly<Record<string, string>>;

/**
 * What is in the schemas brain, app and ops: tables, columns, constraints, indexes, policies, triggers, functions, rights.
 * Not in it: comments, the order of columns, who the owner is, and what PostgreSQL keeps by itself. Any role may ask.
 * How PostgreSQL prints an expression changes with its major version, and the hashes with it. In a transaction alone: it
 * needs a search_path that has names printed with their schema, and puts it back.
 */
export async function schemaObjects(tx: postgres.ISql): Promise<SchemaObjects> {
  const [set] = await tx<{ path: string }[]>`select current_setting('search_path') as path`;
  await tx`select set_config('search_path', 'pg_catalog', true)`;
  const rows = await tx<{ object: string; hash: string }[]>`
    with schemas as (
      select oid, nspname, nspowner, nspacl from pg_namespace where nspname in ('brain', 'app', 'ops')
    ),
    owner as (
      select nspowner as oid from schemas where nspname = 'brain'
    ),
    relations as (
      select pg_class.oid, relkind, relowner, relacl, relrowsecurity, relforcerowsecurity, relpersistence, reloptions,
             format('%I.%I', nspname, relname) as name
      from pg_class
      join schemas on schemas.oid = relnamespace
    ),
    functions as (
      select pg_proc.oid, proowner, proacl, pg_proc.oid::regprocedure::text as name
      from pg_proc
      join schemas on schemas.oid = pronamespace
      where prokind in ('f', 'p')
    ),
    rights as (
      select 'relation ' || name as of, relowner as owner, acl.*
      from relations, aclexplode(coalesce(relacl, acldefault('r', relowner))) as acl
      where relkind in ('r', 'p', 'v', 'm')
      union all
      select 'column ' || name || '.' || quote_ident(attname), relowner, acl.*
      from relations join pg_attribute on attrelid = relations.oid, aclexplode(attacl) as acl
      union all
      select 'function ' || name, proowner, acl.*
      from functions, aclexplode(coalesce(proacl, acldefault('f', proowner))) as acl
      union all
      select 'schema ' || nspname, nspowner, acl.*
      from schemas, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) as acl
    ),
    objects as (
      select 'relation ' || name as object,
             concat_ws(' ', relkind, relpersistence, relrowsecurity, relforcerowsecurity, reloptions,
                       case when relkind in ('v', 'm') then pg_get_viewdef(oid) end) as definition
      from relations
      where relkind in ('r', 'p', 'v', 'm', 'S')
      union all
      select 'column ' || name || '.' || quote_ident(attname),
             concat_ws(' ', format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated,
                       nullif(attcollation, 0)::regcollation, pg_get_expr(adbin, adrelid))
      from relations
      join pg_attribute on attrelid = relations.oid and attnum > 0 and not attisdropped
      left join pg_attrdef on adrelid = attrelid and adnum = attnum
      where relkind in ('r', 'p')
      union all
      select 'constraint ' || quote_ident(conname) || ' of ' || name, concat_ws(' ', pg_get_constraintdef(pg_constraint.oid), convalidated)
      from pg_constraint
      join relations on relations.oid = conrelid
      union all
      select 'index ' || indexrelid::regclass, concat_ws(' ', pg_get_indexdef(indexrelid), indisvalid)
      from pg_index
      join relations on relations.oid = indrelid
      where relkind in ('r', 'p', 'm')
      union all
      select 'policy ' || quote_ident(polname) || ' of ' || name,
             concat_ws(' ', polpermissive, polcmd, (select array_agg(coalesce(rolname, 'public') order by rolname)
                                                    from unnest(polroles) as role left join pg_roles on pg_roles.oid = role),
                       'using', pg_get_expr(polqual, polrelid), 'check', pg_get_expr(polwithcheck, polrelid))
      from pg_policy
      join relations on relations.oid = polrelid
      union all
      select 'trigger ' || quote_ident(tgname) || ' of ' || name, concat_ws(' ', pg_get_triggerdef(pg_trigger.oid), tgenabled)
      from pg_trigger
      join relations on relations.oid = tgrelid
      where not tgisinternal
      union all
      select 'function ' || name, pg_get_functiondef(oid)
      from functions
      union all
      select 'type ' || typname, concat_ws(' ', typtype, format_type(typbasetype, typtypmod), typnotnull, typdefault,
                                           (select array_agg(enumlabel order by enumsortorder) from pg_enum where enumtypid = pg_type.oid))
      from pg_type
      join schemas on schemas.oid = typnamespace
      where typtype in ('d', 'e', 'r')
      union all
      select 'schema ' || nspname, '' from schemas
      union all
      select 'rights on ' || of,
             string_agg(concat_ws(' ', case grantee when 0 then 'public' when rights.owner then 'owner' else coalesce(rolname, 'nobody') end,
                                  privilege_type, is_grantable), ', '
                        order by grantee = rights.owner desc, rolname collate "C", privilege_type collate "C", is_grantable)
      from rights
      left join pg_roles on pg_roles.oid = grantee
      group by of
      union all
      select 'owner of ' || object, rolname
      from (
        select 'relation ' || name as object, relowner as role from relations where relkind not in ('i', 'I', 't', 'S')
        union all
        select 'function ' || name, proowner from functions
      ) as owned
      join pg_roles on pg_roles.oid = role
      where role <> (select oid from owner)
    )
    select object, encode(sha256(convert_to(definition, 'UTF8')), 'hex') as hash
    from objects
    order by object collate "C", hash`;
  await tx`select set_config('search_path', ${set?.path ?? ""}, true)`;
  return Object.fromEntries(rows.map(({ object, hash }) => [object, hash]));
}

/** One hash for all of them. */
export function schemaHash(objects: SchemaObjects): string {
  const hasher = new Bun.CryptoHasher("sha256");
  for (const [object, hash] of Object.entries(objects)) hasher.update(`${JSON.stringify(object)} ${hash}\n`);
  return hasher.digest("hex");
}

/** What one has and the other has not, or otherwise, as sentences. */
export function differences(expected: SchemaObjects, found: SchemaObjects): string[] {
  const names = [...new Set([...Object.keys(expected), ...Object.keys(found)])].sort();
  return names.flatMap((name) => {
    if (expected[name] === found[name]) return [];
    if (found[name] === undefined) return [`${name} is missing`];
    return [expected[name] === undefined ? `${name} was added` : `${name} was changed`];
  });
}
