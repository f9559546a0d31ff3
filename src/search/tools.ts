import { type Static, t } from "elysia";
import { quoted } from "../json.ts";
import { defineTool } from "../mcp/tool.ts";
import { MOVED, toldFilter } from "../memories/filter_schema.ts";
import { LeanMemory, lean, PREVIEW, preview } from "../memories/lean.ts";
import { type Result, SearchRequest, score } from "./schema.ts";
import { searchMemories } from "./service.ts";

/** As much of a memory as `detail` asks for, without what says nothing. */
const LeanResult = t.Object({
  ...t.Partial(LeanMemory).properties,
  id: t.String(),
  preview: t.Optional(t.String()),
  score,
  matched: t.Array(t.String()),
  why: t.Optional(t.Object({})),
});

const leanResult = ({ score, matched, why, ...memory }: Result): Static<typeof LeanResult> => ({
  ...lean(memory),
  score,
  matched,
  ...(why && { why }),
});

const lineOf = ({ id, category, content, preview: beginning, score }: Static<typeof LeanResult>) => {
  const text = content ?? beginning;
  return [id, category, score.toFixed(2), text !== undefined && quoted(preview(text, PREVIEW))]
    .filter(Boolean)
    .join(" ");
};

export const searchTools = [
  defineTool({
    name: "search_memory",
    title: "Search memories",
    description:
      "Call it before you decide or start work: what was learned earlier may settle it. Gives memories, best first.",
    effect: "reads",
    input: SearchRequest,
    told: { filter: toldFilter },
    moved: MOVED,
    output: t.Object({
      results: t.Array(LeanResult),
      total_count: t.Number(),
      left_out: t.Optional(t.Number()),
      took_ms: t.Number(),
      degraded: t.Array(t.String()),
      next_cursor: t.Optional(t.String()),
    }),
    async run(caller, request) {
      const size = (result: Result) => JSON.stringify(leanResult(result)).length + lineOf(leanResult(result)).length;
      const { results, next_cursor, ...rest } = await searchMemories(caller, request, size);
      return { results: results.map(leanResult), ...rest, ...(next_cursor && { next_cursor }) };
    },
    text: ({ results, total_count }) =>
      [`${total_count} found, ${results.length} shown.`, ...results.map(lineOf)].join("\n"),
  }),
];
