import { readFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";

/** Any number, so long as it is always this one. */
const LOCK = 4_270_002;

const ROLES = join(import.meta.dir, "../../migrations/roles.sql");

interface Role {
  name: string;
  password: string;
}

/** The two roles of a database: one owns and migrates, the other serves and owns nothing. */
export interface Roles {
  owner: Role;
  service: Role;
}

/**
 * Makes the roles and the database where they are missing, and sets the roles' passwords. As an administrator of the
 * server, who may create roles and databases. Any number of times. Throws what PostgreSQL throws.
 */
export async function prepareDatabase(admin_url: string, database: string, { owner, service }: Roles): Promise<void> {
  await asAdmin(admin_url, async (sql) => {
    // Two at once would change the same rows of the server's catalogs, which PostgreSQL refuses instead of waiting.
    await sql`select pg_advisory_lock(${LOCK})`; // until this connection ends
    for (const role of [owner, service]) {
      // Only what it has is taken away: who is no superuser may not name the attributes, not even to say no.
      const [known] = await sql<{ taken_away: string }[]>`
        select concat_ws(' ', case when rolsuper then 'nosuperuser' end, case when rolcreatedb then 'nocreatedb' end,
                         case when rolcreaterole then 'nocreaterole' end, case when rolreplication then 'noreplication' end,
                         case when rolbypassrls then 'nobypassrls' end) as taken_away
        from pg_roles where rolname = ${role.name}`;
      const verb = known ? "alter" : "create";
      await run(sql, `${verb} role %I login ${known?.taken_away ?? ""} password %L`, [role.name, role.password]);
    }
    const [there] = await sql`select from pg_database where datname = ${database}`;
    if (!there) {
      // A login that may not create databases for others must be a member of the new owner.
      await run(sql, "grant %I to current_user", [owner.name]);
      await run(sql, "create database %I owner %I encoding 'UTF8' template template0", [database, owner.name]);
    }
    const inside = new URL(admin_url);
    inside.pathname = `/${database}`;
    await asAdmin(inside.href, async (sql_inside) => {
      // It stands there within double quotes.
      await sql_inside.unsafe(readFileSync(ROLES, "utf8").replaceAll(":DATABASE_NAME", database.replaceAll('"', '""')));
      await run(sql_inside, "grant brain_app to %I", [service.name]);
    });
  });
}

/** A statement that takes no parameters of its own; the server quotes what goes into it. */
async function run(sql: postgres.Sql, template: string, values: string[]) {
  const [made] = await sql<{ text: string }[]>`select format(${template}, variadic ${values}::text[]) as text`;
  if (made) await sql.unsafe(made.text);
}

async function asAdmin(url: string, work: (sql: postgres.Sql) => Promise<void>) {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    await work(sql);
  } finally {
    await sql.end();
  }
}
