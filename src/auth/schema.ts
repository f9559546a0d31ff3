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
/** Without a jti: the token that is sent. */
export const RevokeRequest = t.Object(
  { jti: t.Optional(t.String({ minLength: 1, maxLength: 256, description: "Another token of one's org." })) },
  closed,
);
export type RevokeRequest = Static<typeof RevokeRequest>;

export type WhoAmI = Static<typeof WhoAmI>;
