import type { Caller } from "../db.ts";

/**
 * Sessions of legacy streams, in the database: which user has opened which one, and that its stream is alive. What a
 * message may do is decided by the message's own token; the policy shows a caller its own sessions alone.
 */

/** Opens one for the caller's stream; gives its id, 32 hexadecimal digits. Old ones of the caller's are swept out. */
export function openSession(caller: Caller, client: string, idle_seconds: number): Promise<string> {
  const id = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("hex");
  return caller.write(async (tx) => {
    await tx`delete from brain.mcp_sessions where touched_at < now() - make_interval(secs => ${idle_seconds})`;
    await tx`insert into brain.mcp_sessions (id, client) values (${id}, ${client})`;
    return id;
  });
}

/** The client of a session of the caller's that is alive; null for any other, ended or unknown. */
export function clientOf(caller: Caller, id: string, idle_seconds: number): Promise<string | null> {
  return caller.read(async (tx) => {
    const [session] = await tx<{ client: string }[]>`
      select client from brain.mcp_sessions
      where id = ${id} and touched_at >= now() - make_interval(secs => ${idle_seconds})`;
    return session?.client ?? null;
  });
}

/** Says that its stream is alive; false where it has been ended. Throws TOKEN_REVOKED when its opener's token has been. */
export const touchSession = (caller: Caller, id: string): Promise<boolean> =>
  caller.write(async (tx) => {
    const [touched] = await tx`update brain.mcp_sessions set touched_at = now() where id = ${id} returning id`;
    return touched !== undefined;
  });

/** Ends it: no message finds it any more. */
export const closeSession = (caller: Caller, id: string) =>
  caller.write(async (tx) => {
    await tx`delete from brain.mcp_sessions where id = ${id}`;
  });
