import postgres from "postgres";
import { messageOf, Refusal } from "../refusal.ts";

/** Where a database is, and who may make others beside it. */
export interface Place {
  readonly owner_url: string;
  /** An administrator's connection; without one the owner's is tried. */
  readonly root_url: string | undefined;
}

export const databaseOf = (url: string) => decodeURIComponent(new URL(url).pathname.slice(1));

/** The same role in another database. */
export function inDatabase(url: string, database: string): string {
  const other = new URL(url);
  other.pathname = `/${encodeURIComponent(database)}`;
  return other.href;
}

/** PostgreSQL cuts names at 63 bytes; what tells them apart is at the end. */
const MAX_NAME_BYTES = 63;
const MARK_BYTES = 19;

/** When, and which of those at that second. */
export const newMark = () =>
  `${new Date().toISOString().replaceAll(/\D/g, "").slice(0, 14)}_${crypto.randomUUID().slice(0, 4)}`;

/** A name beside a database's, for what a command makes: `scratch`, `restoring`, `before`. */
export function nameBeside(database: string, what: "scratch" | "restoring" | "before", mark: string): string {
  const room = MAX_NAME_BYTES - "_restoring_".length - MARK_BYTES;
  const begin = Buffer.from(database)
    .subarray(0, room)
    .toString("utf8")
    .replace(/\ufffd$/, "");
  return `${begin}_${what}_${mark}`;
}

/** Works with who may make databases, connected to another database than the one it is about. */
export async function asMaker<T>({ owner_url, root_url }: Place, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const given = root_url ?? inDatabase(owner_url, "postgres");
  const url = databaseOf(given) === databaseOf(owner_url) ? inDatabase(given, "postgres") : given;
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

/** Throws a Refusal where nobody here may make a database, before anything depends on it. */
export function expectMaker(place: Place, what_for: string): Promise<void> {
  return asMaker(place, async (sql) => {
    const [role] = await sql<{ name: string; may: boolean }[]>`
      select current_user as name, rolcreatedb or rolsuper as may from pg_roles where rolname = current_user`.catch(
      (error: unknown) => {
        throw new Refusal(
          "database_unreachable",
          `The server does not answer as who may make databases (ROOT_DATABASE_URL, or the owner in the database postgres): ${messageOf(error)}.`,
          error,
        );
      },
    );
    if (!role?.may)
      throw new Refusal(
        "owner_refused",
        `${what_for} makes a database beside this one, and the role ${role?.name} may not. Set ROOT_DATABASE_URL to an administrator's connection, or have one run: alter role ${role?.name} createdb`,
      );
  });
}

/** Makes an empty database for the owner, sorting as the one it stands beside where that is there. */
export function makeDatabase(place: Place, name: string): Promise<void> {
  const owner = decodeURIComponent(new URL(place.owner_url).username);
  return asMaker(place, async (sql) => {
    const [like] = await sql<{ locale: string }[]>`
      with here as (select to_jsonb(pg_database) as it from pg_database where datname = ${databaseOf(place.owner_url)})
      select format('lc_collate %L lc_ctype %L', it ->> 'datcollate', it ->> 'datctype') || case it ->> 'datlocprovider'
               when 'i' then format(' locale_provider icu icu_locale %L', coalesce(it ->> 'datlocale', it ->> 'daticulocale'))
               when 'b' then format(' locale_provider builtin builtin_locale %L', it ->> 'datlocale')
               else ' locale_provider libc'
             end as locale
      from here`;
    const [made] = await sql<{ statement: string; membership: string }[]>`
      select format('create database %I owner %I encoding ''UTF8'' template template0 %s', ${name}::text, ${owner}::text,
                    ${like?.locale ?? ""}::text) as statement,
             format('grant %I to current_user', ${owner}::text) as membership`;
    if (!made) throw new Error("format() gave nothing");
    // A login that may not create databases for others must be a member of their owner.
    if (place.root_url) await sql.unsafe(made.membership);
    await sql.unsafe(made.statement);
  });
}

/** Nobody but the owner and brain_app gets in: what migrations/roles.sql does, as the owner. */
export async function closeToOthers(sql: postgres.ISql): Promise<void> {
  const [made] = await sql<{ revoke: string; grant: string }[]>`
    select format('revoke all on database %I from public', current_database()) as revoke,
           format('grant connect on database %I to brain_app', current_database()) as grant`;
  if (!made) throw new Error("format() gave nothing");
  await sql.unsafe(made.revoke);
  await sql.unsafe(made.grant);
}

export function dropDatabase(place: Place, name: string): Promise<void> {
  return asMaker(place, async (sql) => {
    await sql`drop database if exists ${sql(name)} with (force)`;
  });
}

/** What commands have made beside a database and is still there, by name. */
export async function leftovers(place: Place): Promise<string[]> {
  const begins = (["scratch", "restoring", "before"] as const).map((what) =>
    nameBeside(databaseOf(place.owner_url), what, ""),
  );
  const found = await asMaker(
    place,
    (sql) => sql<{ datname: string }[]>`
      select datname from pg_database
      where exists (select from unnest(${begins}::text[]) as begin where starts_with(datname, begin))
      order by datname`,
  );
  return found.map(({ datname }) => datname);
}

/** Removes what killed commands have left; under the database's lock, where nobody else is making such a one. */
export async function dropLeftovers(place: Place): Promise<void> {
  const kept = nameBeside(databaseOf(place.owner_url), "before", ""); // what a restore has replaced is its operator's to drop
  for (const name of await leftovers(place)) if (!name.startsWith(kept)) await dropDatabase(place, name);
}

const IN_USE = "55006";
const TRIES = 10;

/**
 * Puts a database in the place of another, which keeps its rows under a third name; both renamed at once or neither. Ends
 * every session of the one that goes. Throws a Refusal where somebody comes back faster than that.
 */
export function swapDatabases(place: Place, { out, keep_as, into }: { out: string; keep_as: string; into: string }) {
  return asMaker(place, async (sql) => {
    for (let tries = 1; ; tries++) {
      try {
        await sql`select pg_terminate_backend(pid) from pg_stat_activity where datname in (${out}, ${into})`;
        await sql.begin(async (tx) => {
          await tx`alter database ${tx(out)} rename to ${tx(keep_as)}`;
          await tx`alter database ${tx(into)} rename to ${tx(out)}`;
        });
        return;
      } catch (error) {
        const { code } = error as { code?: string };
        if (code === IN_USE && tries < TRIES) continue;
        if (code !== IN_USE && code !== "42501") throw error;
        throw new Refusal(
          "database_busy",
          `The database ${out} is in use, and its sessions could not be ended (${messageOf(error)}). Stop the service and try again; nothing was changed.`,
          error,
        );
      }
    }
  });
}
