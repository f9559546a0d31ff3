import { type Static, t } from "elysia";
import { MemoryFilter } from "../memories/filter_schema.ts";
import { Memory } from "../memories/schema.ts";
import { closed } from "../schema.ts";

export const SearchRequest = t.Object(
  {
    query: t.String({
      minLength: 1,
      maxLength: 1024,
      description: 'Words (any of them, ranked), "phrases" and -excluded words (binding).',
    }),
    limit: t.Optional(t.Number({ minimum: 1, maximum: 50, multipleOf: 1, description: "Default 10." })),
    filter: t.Optional(MemoryFilter),
  },
  closed,
);
export type SearchRequest = Static<typeof SearchRequest>;

export const score = t.Number({ minimum: 0, maximum: 1, description: "Best first." });
const matched = t.Array(t.String(), { description: "Which way it was found." });

export const SearchAnswer = t.Object(
  {
    results: t.Array(t.Composite([Memory, t.Object({ score, matched })], closed)),
    total_count: t.Number({ description: "How many match, counted to 1000." }),
    took_ms: t.Number(),
    degraded: t.Array(t.String(), { description: "Ways of finding that were not available." }),
  },
  closed,
);
export type SearchAnswer = Static<typeof SearchAnswer>;
