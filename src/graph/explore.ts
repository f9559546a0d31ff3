import { type Static, t } from "elysia";
import type { Caller } from "../db.ts";
import { pathBetween } from "../entities/path.ts";
import { entityNetwork } from "../entities/service.ts";
import { defineTool } from "../mcp/tool.ts";
import { invalidInput } from "../problem.ts";
import { closed, oneOf } from "../schema.ts";
import { relatedMemories } from "./related.ts";
import { similarMemories } from "./similar.ts";
import { memorySubgraph } from "./subgraph.ts";
import { tellNetwork, tellPath, tellRelated, tellSimilar, tellSubgraph, tellTimeline } from "./telling.ts";
import { timeline } from "./timeline.ts";

const QUESTIONS = ["related", "similar", "subgraph", "path", "network", "timeline"] as const;

const entity = (description?: string) =>
  t.Optional(t.String({ minLength: 1, maxLength: 256, ...(description && { description }) }));
const about = {
  memory_id: t.Optional(t.String({ format: "uuid", description: "For related, similar, subgraph." })),
  entity_name: entity("For network, timeline."),
  entity_a: entity("For path, with entity_b."),
  entity_b: entity(),
  via: t.Optional(
    t.String({ minLength: 1, maxLength: 64, description: "Of entity,tag,evidence,artifact_ref,code_ref." }),
  ),
  limit: t.Optional(t.Number({ minimum: 1, maximum: 50, multipleOf: 1 })),
};
const Explore = t.Object({ question: oneOf(QUESTIONS), ...about }, closed);
type Given = Omit<Static<typeof Explore>, "question">;

/** What a question needs, what else may be said to it, how it is answered and told. */
interface Asking<A extends object> {
  needs: readonly (keyof Given)[];
  takes: readonly (keyof Given)[];
  ask(
    caller: Caller,
    given: Required<Pick<Given, "memory_id" | "entity_name" | "entity_a" | "entity_b">> & Given,
  ): Promise<A>;
  tell(answer: A): string;
}

/** Its type erased, so that the questions can stand in one table. */
const asking = <A extends object>({ tell, ...rest }: Asking<A>): Asking<object> => ({
  ...rest,
  tell: (answer) => tell(answer as A),
});

const ASKED: Record<(typeof QUESTIONS)[number], Asking<object>> = {
  related: asking({
    needs: ["memory_id"],
    takes: ["via", "limit"],
    ask: (caller, { memory_id, via, limit }) => relatedMemories(caller, memory_id, { via, limit }),
    tell: tellRelated,
  }),
  similar: asking({
    needs: ["memory_id"],
    takes: ["limit"],
    ask: (caller, { memory_id, limit }) => similarMemories(caller, memory_id, { limit }),
    tell: tellSimilar,
  }),
  subgraph: asking({
    needs: ["memory_id"],
    takes: ["via", "limit"],
    ask: (caller, { memory_id, via, limit }) => memorySubgraph(caller, memory_id, { via, related_limit: limit }),
    tell: tellSubgraph,
  }),
  path: asking({
    needs: ["entity_a", "entity_b"],
    takes: [],
    ask: (caller, { entity_a, entity_b }) => pathBetween(caller, [entity_a, entity_b]),
    tell: tellPath,
  }),
  network: asking({
    needs: ["entity_name"],
    takes: ["limit"],
    ask: (caller, { entity_name, limit }) => entityNetwork(caller, entity_name, { limit }),
    tell: tellNetwork,
  }),
  timeline: asking({
    needs: [],
    takes: ["entity_name", "limit"],
    ask: (caller, { entity_name, limit }) => timeline(caller, { entity_name: entity_name || undefined, limit }),
    tell: tellTimeline,
  }),
};

export const exploreTool = defineTool({
  name: "graph_explore",
  title: "Explore the graph",
  description:
    "Call it to see how memories and entities hang together; question says how. Gives memories by id and " +
    "preview, entities by name.",
  effect: "reads",
  input: Explore,
  output: t.Object({ question: t.String() }),
  async run(caller, { question, ...given }) {
    const { needs, takes, ask } = ASKED[question];
    const missing = needs.filter((name) => given[name] === undefined);
    const misplaced = (Object.keys(given) as (keyof Given)[]).filter((name) => ![...needs, ...takes].includes(name));
    if (missing.length + misplaced.length > 0)
      throw invalidInput([
        ...missing.map((at) => ({ at, message: `is required for ${question}` })),
        ...misplaced.map((at) => ({ at, message: `goes with another question than ${question}` })),
      ]);
    const { memory_id = "", entity_name = "", entity_a = "", entity_b = "" } = given;
    return { question, ...(await ask(caller, { ...given, memory_id, entity_name, entity_a, entity_b })) };
  },
  text: ({ question, ...answer }) => ASKED[question as keyof typeof ASKED].tell(answer),
});
