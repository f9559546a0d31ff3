import { t } from "elysia";
import { defineTool } from "../mcp/tool.ts";
import { closed } from "../schema.ts";

export const embedderTools = [
  defineTool({
    name: "get_embedder_info",
    title: "Embedder",
    description:
      "Call it to learn whether searches compare meanings or words alone, and by which model. Gives the model if there " +
      "is one, and the ways of finding in use.",
    effect: "reads",
    toolset: "admin",
    input: t.Object({}, closed),
    output: t.Object({ is_ready: t.Boolean(), ways: t.Array(t.String()) }),
    // This release has no embeddings: searches go by words.
    run: async () => ({ is_ready: false, ways: ["lexical"] }),
    text: ({ ways }) => `No embedder. Found by: ${ways.join(", ")}.`,
  }),
];
