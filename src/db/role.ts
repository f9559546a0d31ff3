import type { Tx } from "../db.ts";

/** What is wrong with the role of this connection, as sentences; none: it may serve. And the database's encoding. */
export async function roleFacts(tx: Tx): Promise<{ faults: string[]; encoding: string }> {
  const [role] = await tx<RoleFacts[]>`
    select current_user as name,
           bool_or(rolsuper) as is_superuser,
           bool_or(rolbypassrls) as bypasses_row_security,
           bool_or(rolcreaterole or rolcreatedb or rolreplication) as may_administer,
           bool_or(rolname = 'brain_app') as is_member,
           exists (
             select from pg_shdepend
             where deptype = 'o' and pg_has_role(refobjid, 'member')
               and (dbid = here.oid or classid = 'pg_database'::regclass and objid = here.oid)
           ) as owns_something,
           exists (
             select from pg_shdepend where deptype = 'a' and refobjid = current_user::regrole and dbid = here.oid
           ) as holds_rights,
           coalesce(array_agg(rolname::text) filter (where rolname not in (current_user, 'brain_app')), '{}') as also,
           current_setting('server_encoding') as encoding
    from pg_roles
    join pg_database as here on datname = current_database()
    where pg_has_role(pg_roles.oid, 'member')
    group by here.oid`;
  if (!role) throw new Error("the role of this connection is unknown to its server");
  return { faults: faultsOf(role), encoding: role.encoding };
}

interface RoleFacts {
  name: string;
  is_superuser: boolean;
  bypasses_row_security: boolean;
  may_administer: boolean;
  is_member: boolean;
  owns_something: boolean;
  holds_rights: boolean;
  also: string[];
  encoding: string;
}

function faultsOf(role: RoleFacts): string[] {
  // A superuser is a member of every role; the other faults would follow from that one.
  if (role.is_superuser) return [`The role ${role.name} is a superuser, or may become one.`];
  return [
    role.bypasses_row_security && `The role ${role.name} bypasses row-level security, or may become one that does.`,
    role.may_administer && `The role ${role.name} may create roles or databases, or replicate.`,
    role.owns_something &&
      `The role ${role.name} owns something in the database, or the database, or may become its owner.`,
    role.holds_rights && `The role ${role.name} holds rights of its own; brain_app is to hold them all.`,
    role.also.length > 0 && `The role ${role.name} is a member of ${role.also.join(", ")}, and of more than brain_app.`,
    !role.is_member && `The role ${role.name} is not a member of brain_app.`,
  ].filter((fault) => fault !== false);
}
