import { type Static, t } from "elysia";
import { closed, Instant, oneOf, PageOf } from "../schema.ts";

export const RECALL_KINDS = ["search", "list", "get", "related"] as const;

export const AccessLog = PageOf(
  t.Object(
    {
      at: Instant,
      user: t.String({ description: "The sub of the user it was shown to." }),
      app: t.String({ description: "The client it was shown through." }),
      kind: oneOf(RECALL_KINDS),
    },
    closed,
  ),
);
export type AccessLog = Static<typeof AccessLog>;
