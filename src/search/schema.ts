import { type Static, t } from "elysia";
import { CATEGORIES, Memory, READABLE_STATES, SpaceName } from "../memories/schema.ts";
import { closed, oneOf } from "../schema.ts";

const oneOrMore = <const W extends readonly [string, ...string[]]>(words: W, description: string) =>
  t.Union([oneOf(words), t.Array(oneOf(words), { minItems: 1, maxItems: words.length })], { description });

/** What every hit must be. Several values of one field: any of them. */
export const Filter = t.Object(
  {
    category: t.Optional(oneOrMore(CATEGORIES, "One or several.")),
    state: t.Optional(oneOrMore(READABLE_STATES, "Default active.")),
    access_entity: t.Optional(
      t.Union([SpaceName, t.Array(SpaceName, { minItems: 1, maxItems: 32 })], { description: "Only in these spaces." }),
    ),
    include_superseded: t.Optional(t.Boolean({ description: "Those that a newer one replaces too. Default false." })),
  },
  closed,
);

export type Filter = Static<typeof Filter>;

export const SearchRequest = t.Object(
  {
    query: t.String({
      minLength: 1,
      maxLength: 1024,
      description: 'Words (any of them, ranked), "phrases" and -excluded words (binding).',
    }),
    limit: t.Optional(t.Number({ minimum: 1, maximum: 50, multipleOf: 1, description: "Default 10." })),
    filter: t.Optional(Filter),
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
