import { type Static, t } from "elysia";
import { closed } from "../schema.ts";

export const WhoAmI = t.Object(
  {
    user: t.String(),
    org: t.String(),
    scopes: t.Array(t.String()),
    grants: t.Array(t.String({ description: "Spaces the token opens, one's own first." })),
    expires_at: t.String({ format: "date-time" }),
  },
  closed,
);
export type WhoAmI = Static<typeof WhoAmI>;
