import { type Static, t } from "elysia";
import { closed, Instant, nullable, oneOf, Page, Size } from "../schema.ts";

const OUTCOMES = ["done", "denied"] as const;

export const AuditQuery = t.Object(
  {
    user: t.Optional(t.String({ minLength: 1, maxLength: 256, description: "Done or attempted by this sub." })),
    action: t.Optional(t.String({ minLength: 1, maxLength: 256, description: "Such as memory.created." })),
    outcome: t.Optional(oneOf(OUTCOMES)),
    code: t.Optional(t.String({ minLength: 1, maxLength: 64, description: "Denied with this problem code." })),
    target: t.Optional(t.String({ minLength: 1, maxLength: 256, description: "Done to this id." })),
    from_date: t.Optional(t.String({ minLength: 1, maxLength: 40, description: "RFC 3339, or seconds since 1970." })),
    to_date: t.Optional(t.String({ minLength: 1, maxLength: 40, description: "RFC 3339, or seconds since 1970." })),
    page: t.Optional(Page),
    size: t.Optional(Size),
    cursor: t.Optional(t.String({ minLength: 1, maxLength: 256, description: "next_cursor of the page before." })),
  },
  closed,
);
export type AuditQuery = Static<typeof AuditQuery>;

export const AuditEvent = t.Object(
  {
    id: t.String({ format: "uuid" }),
    at: Instant,
    user: nullable(t.String({ description: "The sub; system for the operator; null once erased." })),
    app: nullable(t.String({ description: "The client it came through." })),
    action: t.String({ description: "What was done; of a refusal the route or tool." }),
    outcome: oneOf(OUTCOMES),
    code: nullable(t.String({ description: "Of a refusal: its problem code." })),
    targets: t.Array(t.String(), { description: "The ids it was done to." }),
    changed: t.Array(t.String(), { description: "Of a change: the fields." }),
    access_entities: nullable(t.Array(t.String(), { description: "The spaces it touched; null once erased." })),
    request_id: nullable(t.String()),
    seq: nullable(
      t.Number({ description: "Its place in the org's chain; null until it is chained, within a second." }),
    ),
    hash: nullable(t.String({ description: "SHA-256 over the event before and this one." })),
  },
  closed,
);
export type AuditEvent = Static<typeof AuditEvent>;

export const AuditPage = t.Object(
  {
    items: t.Array(AuditEvent),
    total: nullable(t.Number({ description: "Exact to 10000; null with a cursor." })),
    total_is: nullable(oneOf(["exact", "at_least"])),
    page: nullable(t.Number()),
    size: t.Number(),
    pages: nullable(t.Number()),
    next_cursor: nullable(t.String()),
  },
  closed,
);
export type AuditPage = Static<typeof AuditPage>;
