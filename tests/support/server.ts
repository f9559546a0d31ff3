import { readFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { SUPERUSER, startServer } from "../../src/embedded/server.ts";
import { migrateDatabase } from "../../src/ops/migrate.ts";
import { prepareDatabase, type Roles } from "../../src/ops/roles.ts";
import { temporaryFolder } from "./folder.ts";

/** The PostgreSQL of this run: an embedded one without fsync, or TEST_DATABASE_URL, a superuser there. */
interface TestServer {
  admin_url: string;
  /** One connection of the administrator's, kept: making a database took longer to sign in than to copy. */
  admin: postgres.Sql;
  roles: Roles;
  template: string;
  stop(): Promise<void>;
}

/** A migrated database of its own. */
export interface TestDatabase {
  /** As the service: policies hold. */
  service_url: string;
  /** As the owner: sees every row. */
  owner_url: string;
  /** As the server's administrator. */
  admin_url: string;
  drop(): Promise<void>;
}

/** Begins the name of all this run makes on the server; `support/run.ts` gives its workers one each, and cleans up itself. */
const RUN = process.env.TEST_RUN
  ? `${process.env.TEST_RUN}_${process.env.BUN_TEST_WORKER_ID ?? 0}`
  : `brain_test_${process.pid}_${Date.now().toString(36)}`;
let started: Promise<TestServer> | undefined;
let databases = 0;

/** Starts the server of this run, or gives the one that runs. */
export function startTestServer(): Promise<TestServer> {
  started ??= makeTestServer();
  return started;
}

async function makeTestServer(): Promise<TestServer> {
  const { admin_url, stop } = process.env.TEST_DATABASE_URL
    ? { admin_url: process.env.TEST_DATABASE_URL, stop: async () => {} }
    : await startTestPostgres();
  const roles: Roles = {
    owner: { name: `${RUN}_owner`, password: crypto.randomUUID() },
    service: { name: `${RUN}_service`, password: crypto.randomUUID() },
  };
  const template = `${RUN}_template`;
  await prepareDatabase(admin_url, template, roles);
  await migrateDatabase(urlOf(admin_url, template, roles.owner));
  return { admin_url, admin: postgres(admin_url, { max: 1, onnotice: () => {} }), roles, template, stop };
}

/** An embedded server of its own, without fsync; `admin_url` is a superuser's. */
export async function startTestPostgres() {
  const folder = temporaryFolder();
  const server = await startServer(folder.path, { is_throwaway: true });
  return {
    admin_url: server.url(SUPERUSER, server.secrets.superuser_password, "postgres"),
    async stop() {
      await server.stop();
      folder[Symbol.dispose]();
    },
  };
}

/** Copies the migrated template: in a tenth of the time that migrating anew takes. */
export async function freshDatabase(): Promise<TestDatabase> {
  const { template } = await startTestServer();
  return emptyDatabase(template);
}

/** What stands in it of the database belongs to that itself, and is no part of a template. */
const ROLES = readFileSync(join(import.meta.dir, "../../migrations/roles.sql"), "utf8");

/** A database without our schema, or a copy of another. */
export async function emptyDatabase(template = "template0"): Promise<TestDatabase> {
  const { admin_url, admin, roles } = await startTestServer();
  const name = `${RUN}_${++databases}`;
  // By files: by WAL, which is the default, takes five times the work.
  await admin.unsafe(
    `create database ${name} template ${template} strategy file_copy encoding 'UTF8' owner ${roles.owner.name}`,
  );
  await admin.unsafe(ROLES.replaceAll(":DATABASE_NAME", name));
  return {
    service_url: urlOf(admin_url, name, roles.service),
    owner_url: urlOf(admin_url, name, roles.owner),
    admin_url: urlOf(admin_url, name),
    drop: async () => {
      await admin.unsafe(`drop database ${name} with (force)`);
    },
  };
}

/** Removes what the run made. Of a worker that is each file's end, and there are more to come: it is left to its runner. */
export async function stopServer() {
  if (!started || process.env.TEST_RUN) return;
  const { admin_url, admin, stop } = await started;
  await admin.end();
  await removeAll(admin_url, RUN);
  await stop();
}

/** Removes every database and role of a run, also from a server that is not its own. */
export async function removeAll(admin_url: string, run: string) {
  await asAdmin(admin_url, async (sql) => {
    const left = await sql<{ datname: string }[]>`select datname from pg_database where starts_with(datname, ${run})`;
    for (const { datname } of left) await sql.unsafe(`drop database ${datname} with (force)`);
    const roles = await sql<{ rolname: string }[]>`select rolname from pg_roles where starts_with(rolname, ${run})`;
    for (const { rolname } of roles) await sql.unsafe(`drop role ${rolname}`);
  });
}

function urlOf(admin_url: string, database: string, role?: { name: string; password: string }): string {
  const url = new URL(admin_url);
  url.pathname = `/${database}`;
  if (role) Object.assign(url, { username: role.name, password: role.password });
  return url.href;
}

async function asAdmin(url: string, work: (sql: postgres.Sql) => Promise<unknown>) {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    await work(sql);
  } finally {
    await sql.end();
  }
}
