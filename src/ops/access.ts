import postgres from "postgres";
import { grantsFrom } from "../auth/grants.ts";
import { messageOf, Refusal } from "../refusal.ts";

/** Whether a user sees a memory with a token of these grants. */
export interface AccessQuestion {
  org: string;
  sub: string;
  grants: readonly string[];
  memory_id: string;
}

type ReasonCode = "no_such_memory" | "other_org" | "user_never_seen" | "deleted" | "not_granted";

export interface Access {
  /** What the database decided when it was asked as that user. */
  verdict: "visible" | "not visible";
  /** Why it is not visible by the rule, as read by the owner: everything that stands in the way. */
  reasons: { code: ReasonCode; said: string }[];
  /** What else is worth knowing. */
  notes: string[];
  /** Whether the database decided as the rule says. */
  agrees: boolean;
  held: string[];
  /** The grants that open its space; those of them that are held. */
  opened_by: string[];
  matching: string[];
  memory: { org: string; access_entity: string; state: string; owner: string } | null;
}

/**
 * Says whether a user sees a memory, and why. The verdict is the policy's own, got by entering over the service's
 * connection; the reasons are read by the owner, who sees all. Writes nothing. Throws a Refusal where one of the two
 * databases does not answer, and what PostgreSQL throws.
 */
export async function explainAccess(service_url: string, owner_url: string, question: AccessQuestion): Promise<Access> {
  const held = grantsFrom(question.grants, question.sub);
  const seen = await connected(service_url, (sql) => seenBy(sql, question, held));
  const { is_known, found } = await connected(owner_url, (sql) => read(sql, question));
  const memory = found.find(({ org }) => org === question.org);
  const { org = "", access_entity = "", state = "", owner = "", access_keys = [] } = memory ?? found[0] ?? {};
  const matching = memory ? held.filter((grant) => access_keys.includes(grant)) : [];

  const reasons: Access["reasons"] = [];
  const because = (code: ReasonCode, said: string) => void reasons.push({ code, said });
  if (found.length === 0) because("no_such_memory", "There is no such memory in any org.");
  else if (!memory)
    because("other_org", `It belongs to ${found.map((other) => other.org).join(", ")}, not to ${question.org}.`);
  if (!is_known) because("user_never_seen", `${question.sub} has never been seen in ${question.org}.`);
  if (memory?.deleted_at)
    because("deleted", `It was deleted by ${memory.updated_by} at ${memory.deleted_at.toISOString()}.`);
  if (memory && matching.length === 0)
    because(
      "not_granted",
      access_entity.startsWith("user:")
        ? `Its space ${access_entity} is that user's own: no grant opens it to another.`
        : `No grant held opens its space ${access_entity}; any of ${access_keys.join(", ")} would.`,
    );

  const notes: string[] = [];
  if (state === "archived" || state === "paused")
    notes.push(`It is ${state}: lists and searches leave it out unless they ask for that state.`);
  if (reasons.length === 1 && !is_known) notes.push("From their first request on they will see it with these grants.");

  const is_visible = seen !== null && seen !== "deleted";
  return {
    verdict: is_visible ? "visible" : "not visible",
    reasons,
    notes,
    agrees: is_visible === (reasons.length === 0),
    held,
    opened_by: access_keys,
    matching,
    memory: found.length > 0 ? { org, access_entity, state, owner } : null,
  };
}

/** The state of the memory as the user's own transaction sees it; null where it sees none. */
const seenBy = (sql: postgres.Sql, { org, sub, memory_id }: AccessQuestion, held: string[]): Promise<string | null> =>
  sql.begin("read only", async (tx) => {
    // Not through a Caller, which would make a user who has never been seen.
    await tx`select app.enter(${org}, ${sub}, ${crypto.randomUUID()}, ${held})`;
    const [row] = await tx<{ state: string }[]>`select state from brain.memories where id = ${memory_id}`;
    return row?.state ?? null;
  });

interface Found {
  org: string;
  access_entity: string;
  access_keys: string[];
  state: string;
  owner: string;
  updated_by: string;
  deleted_at: Date | null;
}

/** What there is, in whatever org: an id is one org's own, and may be there in several. */
async function read(sql: postgres.Sql, { org, sub, memory_id }: AccessQuestion) {
  const users = await sql`
    select from brain.users join brain.orgs using (org_id) where orgs.name = ${org} and users.sub = ${sub}`;
  const found = await sql<Found[]>`
    select orgs.name as org, access_entity, access_keys, state, owner, updated_by, deleted_at
    from brain.memories
    join brain.orgs using (org_id)
    join brain.spaces on spaces.org_id = memories.org_id and spaces.id = space_id
    where memories.id = ${memory_id}
    order by orgs.name`;
  return { is_known: users.length > 0, found: [...found] };
}

async function connected<T>(url: string, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1, prepare: false, onnotice: () => {} });
  try {
    await sql`select`.catch((error: unknown) => {
      throw new Refusal("database_unreachable", `The database does not answer: ${messageOf(error)}.`, error);
    });
    return await work(sql);
  } finally {
    await sql.end();
  }
}
