import { type Static, t } from "elysia";
import type { Caller } from "../db.ts";

export const WhoAmI = t.Object(
  {
    user: t.String(),
    org: t.String(),
    scopes: t.Array(t.String()),
    grants: t.Array(t.String({ description: "Spaces the token opens, one's own first." })),
    expires_at: t.String({ format: "date-time" }),
  },
  { additionalProperties: false },
);
export type WhoAmI = Static<typeof WhoAmI>;

/** What the caller's token says. It enters the database all the same: a revoked token is told so. */
export const whoAmI = ({ sub, org, scopes, grants, expires_at, read }: Caller): Promise<WhoAmI> =>
  read(async () => ({
    user: sub,
    org,
    scopes: [...scopes],
    grants: [...grants],
    expires_at: new Date(expires_at * 1000).toISOString(),
  }));
