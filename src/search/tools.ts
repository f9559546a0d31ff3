import { t } from "elysia";
import { defineTool } from "../mcp/tool.ts";
import { MOVED, toldFilter } from "../memories/filter_schema.ts";
import { LeanMemory, lean, line } from "../memories/lean.ts";
import { SearchRequest, score } from "./schema.ts";
import { searchMemories } from "./service.ts";

export const searchTools = [
  defineTool({
    name: "search_memory",
    title: "Search memories",
    description:
      "Call it before you decide, design or start work: what was learned earlier may settle it. Gives matching " +
      "memories, best first, each with a score.",
    effect: "reads",
    input: SearchRequest,
    told: { filter: toldFilter },
    moved: MOVED,
    output: t.Object({
      results: t.Array(t.Composite([LeanMemory, t.Object({ score, matched: t.Array(t.String()) })])),
      total_count: t.Number(),
      took_ms: t.Number(),
      degraded: t.Array(t.String()),
    }),
    async run(caller, request) {
      const { results, ...rest } = await searchMemories(caller, request);
      return {
        results: results.map(({ score, matched, ...memory }) => ({ ...lean(memory), score, matched })),
        ...rest,
      };
    },
    text: ({ results, total_count }) =>
      [
        `${total_count} found, ${results.length} shown.`,
        ...results.map((hit) => line(hit, ` ${hit.score.toFixed(2)}`)),
      ].join("\n"),
  }),
];
