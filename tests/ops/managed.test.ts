import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import postgres from "postgres";
import { openDatabase } from "../../src/db.ts";
import { migrateDatabase } from "../../src/ops/migrate.ts";
import { newestMigration } from "../../src/ops/migration_files.ts";
import { prepareDatabase, type Roles } from "../../src/ops/roles.ts";
import { planRollback, rollBack } from "../../src/ops/rollback.ts";
import { startTestServer } from "../support/server.ts";

/** Administrators as managed servers have them: none is a superuser. docs/managed.md names whose each is. */
const ADMINISTRATORS = [
  ["as on RDS and Cloud SQL", "createrole createdb"],
  ["as on Neon and Supabase", "createrole createdb bypassrls"],
] as const;

const suffix = crypto.randomUUID().slice(0, 8);
let admin_url: string;
let root: postgres.Sql;
beforeAll(async () => {
  ({ admin_url } = await startTestServer());
  root = postgres(admin_url, { max: 1, onnotice: () => {} });
});
afterAll(() => root.end());

describe.each(ADMINISTRATORS)("an administrator %s", (_, attributes) => {
  test("makes roles and database, again with other passwords; the owner migrates and rolls back; the role serves", async () => {
    const name = `brain_managed_${attributes.length}_${suffix}`;
    const roles = (password: string): Roles => ({
      owner: { name: `${name}_owner`, password },
      service: { name: `${name}_service`, password },
    });
    const url = (user: string, password: string, database: string) =>
      Object.assign(new URL(admin_url), { username: user, password, pathname: `/${database}` }).href;
    await root.unsafe(`create role ${name} login ${attributes} password 'managed'`);
    // There, nobody but the administrator has made it.
    const [known] = await root`select from pg_roles where rolname = 'brain_app'`;
    if (known) await root.unsafe(`grant brain_app to ${name} with admin option`);
    try {
      await prepareDatabase(url(name, "managed", "postgres"), name, roles("one"));
      await prepareDatabase(url(name, "managed", "postgres"), name, roles("two"));
      const owner_url = url(`${name}_owner`, "two", name);
      await migrateDatabase(owner_url);
      const { rows_at_risk } = await planRollback(owner_url);
      await rollBack(owner_url, newestMigration().slice(0, 6), rows_at_risk);
      await migrateDatabase(owner_url);
      const service = openDatabase(url(`${name}_service`, "two", name), { max: 1 });
      const facts = await service.facts();
      await service.close();
      expect(facts.faults).toEqual([]);
    } finally {
      await root.unsafe(`drop database if exists ${name} with (force)`);
      for (const role of [`${name}_service`, `${name}_owner`, name])
        await root.unsafe(`drop owned by ${role}; drop role ${role}`).simple();
    }
  }, 30_000);
});
