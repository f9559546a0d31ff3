import type { Caller } from "../db.ts";
import type { WhoAmI } from "./schema.ts";

/** What the caller's token says. It enters the database all the same: a revoked token is told so. */
export const whoAmI = ({ sub, org, scopes, grants, expires_at, read }: Caller): Promise<WhoAmI> =>
  read(async () => ({
    user: sub,
    org,
    scopes: [...scopes],
    grants: [...grants],
    expires_at: new Date(expires_at * 1000).toISOString(),
  }));
