import { type Static, t } from "elysia";
import { MemoryFilter } from "../memories/filter_schema.ts";
import { CATEGORIES, Memory } from "../memories/schema.ts";
import { closed, Id, oneOf } from "../schema.ts";

export const MODES = ["auto", "lexical", "semantic", "hybrid"] as const;
export type Mode = (typeof MODES)[number];
const MAX_LIMIT = 50;

/** What the caller is at work on: what fits is lifted, and nothing is left out. */
export const Context = t.Object(
  {
    entity: t.Optional(t.String({ minLength: 1, maxLength: 256 })),
    artifact_ref: t.Optional(t.String({ minLength: 1, maxLength: 1024 })),
    category: t.Optional(oneOf(CATEGORIES)),
    tag: t.Optional(t.String({ minLength: 1, maxLength: 1153 })),
    half_life_days: t.Optional(
      t.Number({ minimum: 0.01, maximum: 36_500, description: "Newer ones first: half the lift at this age." }),
    ),
  },
  { ...closed, description: "Lifts what fits; leaves nothing out." },
);
export type Context = Static<typeof Context>;

const request = {
  query: t.String({
    minLength: 1,
    maxLength: 1024,
    description: 'Words (any of them, ranked), "phrases" and -excluded words (binding).',
  }),
  limit: t.Optional(t.Number({ minimum: 1, maximum: MAX_LIMIT, multipleOf: 1, description: "Default 10." })),
  filter: t.Optional(MemoryFilter),
  context: t.Optional(Context),
  detail: t.Optional(oneOf(["ids", "preview", "full"], { description: "Default full." })),
  max_tokens: t.Optional(
    t.Number({ minimum: 100, maximum: 100_000, multipleOf: 1, description: "For the whole answer." }),
  ),
  explain: t.Optional(t.Boolean({ description: "Say how scores come about." })),
  cursor: t.Optional(t.String({ minLength: 1, maxLength: 256, description: "next_cursor of the answer before." })),
};

/** What one way of searching takes. */
export const LegRequest = t.Object(request, closed);
export const SearchRequest = t.Object(
  { ...request, mode: t.Optional(oneOf(MODES, { description: "Default auto." })) },
  closed,
);
export type SearchRequest = Static<typeof SearchRequest>;

export const score = t.Number({ minimum: 0, maximum: 1, description: "Best first." });
export const matched = t.Array(oneOf(["lexical", "thread", "graph", "semantic"]), {
  description: "Which ways it was found.",
});

/** What a score is made of; docs/search.md does the sum. */
export const Why = t.Object(
  {
    words: t.Number({ description: "Earned by its words and its thread's: 0 to 1." }),
    terms: t.Array(t.Object({ term: t.String(), weight: t.Number() }), {
      description: "The query's terms, with their weights.",
    }),
    named: t.Boolean({ description: "The query names whose or what it is." }),
    linked: t.Number({ description: "Earned by what it is about: 0 to 1." }),
    meaning: t.Optional(t.Number({ description: "Cosine of the embeddings." })),
    lifts: t.Record(t.String(), t.Number(), { description: "Of the context: field to factor." }),
  },
  closed,
);
export type Why = Static<typeof Why>;

const { id: _, ...memory } = Memory.properties;

/** A memory as much of it as `detail` asks for, and what makes it a result. */
export const Result = t.Object(
  {
    id: Id,
    ...t.Partial(t.Object(memory)).properties,
    preview: t.Optional(t.String({ description: "The beginning of its content." })),
    score,
    matched,
    why: t.Optional(Why),
  },
  closed,
);
export type Result = Static<typeof Result>;

export const SearchAnswer = t.Object(
  {
    results: t.Array(Result),
    total_count: t.Number({ description: "How many match, counted to 100." }),
    left_out: t.Optional(t.Number({ description: "Of this page, for want of max_tokens." })),
    took_ms: t.Number(),
    degraded: t.Array(t.String(), { description: "Ways of finding that were not available." }),
    next_cursor: t.Union([t.String(), t.Null()]),
  },
  closed,
);
export type SearchAnswer = Static<typeof SearchAnswer>;
