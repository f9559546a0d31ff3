import postgres from "postgres";
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
async function takeLock(session: postgres.ISql, say: (line: string) => void): Promise<void> {
  const [tried] = await session<{ got: boolean }[]>`select pg_try_advisory_lock(${LOCK}) as got`;
  if (tried?.got) return;
  say("Another brain command works on the schema of this database; waiting for it.");
  await session`select pg_advisory_lock(${LOCK})`;
}

/**
 * Works on one connection, whose locks and transactions go with it. Throws a Refusal where nothing answers. What the work
 * has left running on it, such as a copy that broke off, gets a second.
 */
export async function onConnection<T>(url: string, work: (session: postgres.ReservedSql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    const session = await sql.reserve().catch((error: unknown) => {
      throw new Refusal("database_unreachable", `The owner's database does not answer: ${messageOf(error)}.`, error);
    });
    try {
      return await work(session);
    } finally {
      session.release();
    }
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** Works while nobody else changes or copies the schema of this database. */
export function underLock<T>(
  owner_url: string,
  say: (line: string) => void,
  work: (session: postgres.ReservedSql) => Promise<T>,
): Promise<T> {
  return onConnection(owner_url, async (session) => {
    await expectOwner(session);
    await takeLock(session, say);
    return work(session);
  });
}
