import type postgres from "postgres";
import { messageOf, Refusal } from "../refusal.ts";

/** Any number, so long as it is always this one: who changes a schema, or copies it, waits for the other. */
const LOCK = 4_270_001;

/** Throws a Refusal unless this role is the one that owns what there is, or may be the first to own something. */
export async function expectOwner(sql: postgres.ISql): Promise<void> {
  const [found] = await sql<{ role: string; database: string; owner: string; is_owner: boolean }[]>`
    select current_user as role, datname as database, coalesce(nspowner, datdba)::regrole::text as owner,
           case when nspowner is null then pg_has_role(datdba, 'member') else nspowner = current_user::regrole end as is_owner
    from pg_database
    left join pg_namespace on nspname = 'brain'
    where datname = current_database()`;
  if (found && !found.is_owner)
    throw new Refusal(
      "owner_refused",
      `The role ${found.role} is not the owner of ${found.database}; ${found.owner} is. OWNER_DATABASE_URL must be the owner's.`,
    );
}

/** Takes the lock for as long as the connection lasts; says so when somebody else has it. */
export async function takeLock(session: postgres.ISql, say: (line: string) => void): Promise<void> {
  const [tried] = await session<{ got: boolean }[]>`select pg_try_advisory_lock(${LOCK}) as got`;
  if (tried?.got) return;
  say("Another brain command works on the schema of this database; waiting for it.");
  await session`select pg_advisory_lock(${LOCK})`;
}

/** A connection of its own for the whole of a run: its locks go with it. Throws a Refusal where nothing answers. */
export function reserved(sql: postgres.Sql): Promise<postgres.ReservedSql> {
  return sql.reserve().catch((error: unknown) => {
    throw new Refusal("database_unreachable", `The owner's database does not answer: ${messageOf(error)}.`, error);
  });
}
