import type { JSONRPCMessage, LoggingLevel } from "@modelcontextprotocol/sdk/types.js";
import type { Caller, Tx } from "../db.ts";
import type { Toolset } from "./toolsets.ts";

/**
 * Sessions of legacy streams, in the database: which user has opened which one, which process holds its stream, and
 * that it is alive. What a message may do is decided by the message's own token; the policy shows a caller its own
 * sessions alone. Processes wake each other by NOTIFY, whose payload is a Wake.
 */
export interface Session {
  readonly client: string;
  readonly toolsets: ReadonlySet<Toolset>;
  /** The process that holds the stream. */
  readonly holder: string;
  /** Log messages from this level on are sent; none without one. */
  readonly log_level: LoggingLevel | null;
}

export const CHANNEL = "coding_brain_mcp";

/** What one process tells the others: an answer waits, a call is cancelled, a session has ended. */
export type Wake =
  | { kind: "answer" | "end"; session_id: string }
  | { kind: "cancel"; session_id: string; call: string | number };

/** How a process that listens shows in pg_stat_activity: that is how others know it lives. */
export const listenerName = (holder: string) => `coding-brain ${holder}`;

/** NOTIFY takes less than 8,000 bytes. */
const MAX_PAYLOAD_BYTES = 7900;

async function wake(tx: Tx, what: Wake) {
  const payload = JSON.stringify(what);
  if (Buffer.byteLength(payload) <= MAX_PAYLOAD_BYTES) await tx`select pg_notify(${CHANNEL}, ${payload})`;
}

/** Opens one for the caller's stream; gives its id, 32 hexadecimal digits. Old ones of the caller's are swept out. */
export function openSession(
  caller: Caller,
  { client, toolsets, holder }: Omit<Session, "log_level">,
  idle_seconds: number,
): Promise<string> {
  const id = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("hex");
  return caller.write(async (tx) => {
    await tx`delete from brain.mcp_sessions where touched_at < now() - make_interval(secs => ${idle_seconds})`;
    await tx`
      insert into brain.mcp_sessions (id, client, toolsets, holder) values (${id}, ${client}, ${[...toolsets]}, ${holder})`;
    return id;
  });
}

/**
 * A session of the caller's that is alive; null for any other, ended or unknown. One of another process is alive while
 * that process listens: a killed one's has ended, whatever its row says.
 */
export function sessionOf(
  caller: Caller,
  id: string,
  { holder, idle_seconds }: { holder: string; idle_seconds: number },
): Promise<Session | null> {
  return caller.read(async (tx) => {
    const [session] = await tx<(Omit<Session, "toolsets"> & { toolsets: Toolset[] })[]>`
      select client, toolsets, holder, log_level from brain.mcp_sessions
      where id = ${id} and touched_at >= now() - make_interval(secs => ${idle_seconds})`;
    if (!session) return null;
    if (session.holder !== holder) {
      const [listens] = await tx`
        select from pg_stat_activity
        where datname = current_database() and application_name = ${listenerName(session.holder)}`;
      if (!listens) return null;
    }
    return { ...session, toolsets: new Set(session.toolsets) };
  });
}

/** Says that its stream is alive; false where it has been ended. Throws TOKEN_REVOKED when its opener's token has been. */
export const touchSession = (caller: Caller, id: string): Promise<boolean> =>
  caller.write(async (tx) => {
    const [touched] = await tx`update brain.mcp_sessions set touched_at = now() where id = ${id} returning id`;
    return touched !== undefined;
  });

/** Keeps the level of the log messages it wants. */
export const keepLogLevel = (caller: Caller, id: string, level: LoggingLevel) =>
  caller.write(async (tx) => {
    await tx`update brain.mcp_sessions set log_level = ${level} where id = ${id}`;
  });

/** Ends it: no message finds it any more, and calls that run for it elsewhere end. */
export const closeSession = (caller: Caller, session_id: string) =>
  caller.write(async (tx) => {
    await tx`delete from brain.mcp_sessions where id = ${session_id}`;
    await wake(tx, { kind: "end", session_id });
  });

/** Tells the process that runs a call of the session, whichever it is, to end it. */
export const cancelElsewhere = (caller: Caller, session_id: string, call: string | number) =>
  caller.write((tx) => wake(tx, { kind: "cancel", session_id, call }));

/** Leaves answers for the process that holds the stream, in their order. Nowhere, where the session has ended. */
export const leaveAnswers = (caller: Caller, session_id: string, answers: readonly JSONRPCMessage[]) =>
  caller.write(async (tx) => {
    const [left] = await tx`
      with living as (select id from brain.mcp_sessions where id = ${session_id} for key share)
      insert into brain.mcp_messages (session_id, body)
      select living.id, body
      from living, unnest(${answers.map((answer) => JSON.stringify(answer))}::text[]) with ordinality as answer (body, place)
      order by place
      returning id`;
    if (left) await wake(tx, { kind: "answer", session_id });
  });

/** Answers that wait for a session, oldest first, at most so many; `sent` are those that have been sent, and are removed. */
export const takeAnswers = (caller: Caller, session_id: string, sent: readonly string[], most = 100) =>
  caller.write(async (tx) => {
    if (sent.length > 0)
      await tx`
        delete from brain.mcp_messages where session_id = ${session_id} and id = any (${sent as string[]}::bigint[])`;
    return tx<{ id: string; body: string }[]>`
      select id, body from brain.mcp_messages where session_id = ${session_id} order by id limit ${most}`;
  });
