import type postgres from "postgres";
import { applyMigrations } from "../../src/ops/apply.ts";
import { committedMigrations } from "../../src/ops/committed.ts";
import { asOwner } from "./operator.ts";
import { emptyDatabase, type TestDatabase } from "./server.ts";

/** By the number of the migration they are at: made once, and copied. */
const templates = new Map<string, Promise<string>>();

/** A database as an earlier release left it, at a migration by its number, with a memory of ada's for each content. */
export async function agedDatabase(number: string, contents: readonly string[] = []): Promise<TestDatabase> {
  const template = templates.get(number) ?? templateAt(number);
  templates.set(number, template);
  const database = await emptyDatabase(await template);
  if (contents.length > 0) await asOwner(database, (owner) => store(owner, contents));
  return database;
}

async function templateAt(number: string): Promise<string> {
  const database = await emptyDatabase();
  const migrations = committedMigrations().filter(({ filename }) => filename <= `${number}.sql`);
  await asOwner(database, (owner) => owner.begin((tx) => applyMigrations(tx, migrations)));
  return new URL(database.owner_url).pathname.slice(1);
}

/** Stores memories as ada of acme, past the service. */
export async function store(owner: postgres.Sql, contents: readonly string[]): Promise<void> {
  await owner`select app.provision('acme', 'ada', '{}', '{}', 'rest')`;
  await owner`
    insert into brain.memories (org_id, id, space_id, owner_id, owner, app_id, app, content, updated_by)
    select users.org_id, gen_random_uuid(), spaces.id, users.id, sub, apps.id, 'rest', content, sub
    from brain.users
    join brain.apps on owner_id = users.id
    join brain.spaces on spaces.org_id = users.org_id,
         unnest(${contents as string[]}::text[]) as told (content)`;
}
