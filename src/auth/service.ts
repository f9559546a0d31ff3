import type { Caller } from "../db.ts";
import type { RevokeRequest, WhoAmI } from "./schema.ts";
import { requireScopes } from "./scopes.ts";

/** What the caller's token says. It enters the database all the same: a revoked token is told so. */
export const whoAmI = ({ sub, org, scopes, grants, expires_at, read }: Caller): Promise<WhoAmI> =>
  read(async () => ({
    user: sub,
    org,
    scopes: [...scopes],
    grants: [...grants],
    expires_at: new Date(expires_at * 1000).toISOString(),
  }));

/**
 * Refuses a token of the caller's org from the next transaction on: the caller's own, or any other by its jti with
 * admin:write. One that is refused already stays so. Throws INSUFFICIENT_SCOPE.
 */
export async function revoke(caller: Caller, { jti = caller.jti }: RevokeRequest): Promise<void> {
  if (jti !== caller.jti) requireScopes(caller.scopes, ["admin:write"]);
  // When another's would end is not known here; the row may outlive it.
  const expires_at = jti === caller.jti ? new Date(caller.expires_at * 1000).toISOString() : "infinity";
  await caller.write((tx) => tx`select app.revoke_token(${jti}, ${expires_at}::text::timestamptz)`);
}
