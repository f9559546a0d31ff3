import postgres from "postgres";
import { migrateDatabase } from "./migrate.ts";
import { prepareDatabase, type Roles } from "./roles.ts";

/** A migrated database that nobody else uses, with roles of its own. */
export interface ScratchDatabase {
  /** As the service: policies hold. */
  readonly service_url: string;
  /** As the owner: sees every row. */
  readonly owner_url: string;
  /** Removes the database and its roles, and brain_app where it was made for this. */
  drop(): Promise<void>;
}

const IN_USE = "2BP01";

/** Makes one as an administrator of the server. Leaves nothing behind when it throws what PostgreSQL or a migration throws. */
export async function openScratch(root_url: string): Promise<ScratchDatabase> {
  const name = `brain_scratch_${Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString("hex")}`;
  const roles: Roles = {
    owner: { name: `${name}_owner`, password: crypto.randomUUID() },
    service: { name: `${name}_service`, password: crypto.randomUUID() },
  };
  const had_group = await hasRole(root_url, "brain_app");
  const scratch: ScratchDatabase = {
    service_url: urlOf(root_url, name, roles.service),
    owner_url: urlOf(root_url, name, roles.owner),
    drop: () => dropAll(root_url, name, roles, had_group),
  };
  try {
    await prepareDatabase(root_url, name, roles);
    await migrateDatabase(scratch.owner_url);
    return scratch;
  } catch (error) {
    await scratch.drop();
    throw error;
  }
}

function hasRole(root_url: string, name: string): Promise<boolean> {
  return asRoot(root_url, async (sql) => (await sql`select from pg_roles where rolname = ${name}`).length > 0);
}

function dropAll(root_url: string, name: string, roles: Roles, keep_group: boolean): Promise<void> {
  return asRoot(root_url, async (sql) => {
    await sql`drop database if exists ${sql(name)} with (force)`;
    for (const role of [roles.service, roles.owner]) await sql`drop role if exists ${sql(role.name)}`;
    if (keep_group) return;
    // Another database of the server may have come to need it meanwhile.
    await sql`drop role if exists brain_app`.catch((error: { code?: string }) => {
      if (error.code !== IN_USE) throw error;
    });
  });
}

function urlOf(root_url: string, database: string, role: { name: string; password: string }): string {
  const url = new URL(root_url);
  url.pathname = `/${database}`;
  return Object.assign(url, { username: role.name, password: role.password }).href;
}

async function asRoot<T>(url: string, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}
