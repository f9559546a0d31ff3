import { t } from "elysia";
import { defineTool } from "../mcp/tool.ts";
import { closed } from "../schema.ts";
import { spaceOf } from "./semantic.ts";

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
    output: t.Object({
      is_ready: t.Boolean(),
      model: t.Optional(t.String()),
      dimensions: t.Optional(t.Number()),
      ways: t.Array(t.String()),
    }),
    async run(caller) {
      const space = caller.embedder ? await spaceOf(caller) : undefined;
      return {
        is_ready: space !== undefined,
        ...(space && { model: space.model, dimensions: space.dimensions }),
        ways: ["lexical", "thread", "graph", ...(space ? ["semantic"] : [])],
      };
    },
    text: ({ model, ways }) =>
      `${model === undefined ? "No embedder" : `The embedder is ${JSON.stringify(model)}`}. Found by: ${ways.join(", ")}.`,
  }),
];
