import { type Static, t } from "elysia";
import { closed, inQuery } from "../schema.ts";

export const MAX_DAYS = 366;
/** Spaces and apps are told of at most: the largest. */
export const MAX_GROUPS = 100;

export const StatsQuery = t.Object(
  {
    days: t.Optional(
      inQuery("^([1-9][0-9]?|[12][0-9]{2}|3[0-5][0-9]|36[0-6])$", {
        minimum: 1,
        maximum: MAX_DAYS,
        default: 30,
        description: "Days of growth, the last of them today.",
      }),
    ),
  },
  closed,
);
export type StatsQuery = Static<typeof StatsQuery>;

const count = t.Number();

export const Stats = t.Object(
  {
    total_memories: t.Number({ description: "In any state but deleted." }),
    total_apps: t.Number({ description: "One's own." }),
    by_state: t.Array(t.Object({ state: t.String(), count }, closed)),
    by_category: t.Array(t.Object({ category: t.String(), count }, closed)),
    by_space: t.Array(t.Object({ access_entity: t.String(), count }, closed), { description: "The 100 largest." }),
    by_app: t.Array(t.Object({ app: t.String(), count }, closed), { description: "The 100 largest, by name." }),
    growth: t.Array(t.Object({ day: t.String({ description: "In UTC." }), created: count }, closed), {
      description: "Of what is there today, what was stored each day; the oldest first.",
    }),
  },
  closed,
);
export type Stats = Static<typeof Stats>;
