import { type Static, t } from "elysia";
import { closed, PageOf } from "../schema.ts";
import { fields, MemoryIds, UUID } from "./schema.ts";

export const ACTIONS = ["archive", "pause", "restore"] as const;
export type Action = (typeof ACTIONS)[number];

/** Which memories: all that is given must hold. */
export const Selector = t.Object(
  {
    memory_ids: t.Optional(MemoryIds.properties.memory_ids),
    category: t.Optional(fields.category),
    app_id: t.Optional(t.String({ pattern: `^${UUID}$`, description: "Written through this app." })),
    all: t.Optional(t.Literal(true, { description: "Everything the caller sees. Goes alone." })),
  },
  { ...closed, minProperties: 1 },
);
export type Selector = Static<typeof Selector>;

export const Changed = t.Object(
  {
    changed: t.Number(),
    skipped: t.Number({ description: "Asked for and left as they were: not found, or not in a state for it." }),
  },
  closed,
);
export type Changed = Static<typeof Changed>;

export const Categories = PageOf(t.Object({ category: fields.category, count: t.Number() }, closed));
export type Categories = Static<typeof Categories>;
