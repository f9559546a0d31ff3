import type { Offer } from "../mcp/offer.ts";
import { SUGGESTED } from "../memories/suggest.ts";
import type { Aim, Own, ToolProbe } from "./probe.ts";

/** What every server of MCP answers beside its tools, whatever it offers. */
const LISTS = ["tools/list", "resources/list", "resources/templates/list", "prompts/list"];

/** What the probes of methods must be for: each list, each kind of resource, each prompt, each argument of those. */
export function methodsOf({ resources, prompts }: Pick<Offer, "resources" | "prompts">): string[] {
  const templates = resources.map(({ template }) => template.uriTemplate);
  const completed = [
    ...SUGGESTED,
    ...templates.flatMap((template) => [...template.matchAll(/{(\w+)}/g)].map(([, name]) => name)),
    // What definePrompt() has made of a prompt's schema.
    ...prompts.flatMap(({ listed }) => (listed as { arguments: { name: string }[] }).arguments.map(({ name }) => name)),
  ];
  return [
    ...LISTS,
    ...templates.map((template) => `resources/read ${template}`),
    ...prompts.map(({ name }) => `prompts/get ${name}`),
    ...new Set(completed.map((name) => `completion/complete ${name}`)),
  ];
}

/** Whoever has a token. */
const signed_in = { needs: [], reads: true } as const;
const reading = { needs: ["memories:read"], reads: true } as const;

/** The same for everybody. */
const list: ToolProbe = { ...signed_in, asks: () => [{}], views: () => [{}] };

const argument = (name: string, value: string, prompt = "review_memories") => ({
  ref: { type: "ref/prompt", name: prompt },
  argument: { name, value },
});

/** Completed from what is stored: by another's; by nothing at all among the views. */
const completed = (name: string, of: (aim: Aim) => string[]): ToolProbe => ({
  ...reading,
  asks: (aim) => of(aim).map((value) => argument(name, value)),
  views: () => [argument(name, ""), argument(name, "team:")],
});

/** What a name begins with, and no other canary. */
const begins = (name: string) => name.slice(0, -4);

/** Free text has no completions, and what is one of a few words the same ones for everybody. */
const notCompleted = (name: string, of: (aim: Aim) => string, prompt?: string): ToolProbe => ({
  ...signed_in,
  asks: (aim) => [argument(name, of(aim), prompt)],
});

const prompt = (name: string, given: object) => ({ name, arguments: given });

/** One entry for each method of MCP but tools/call, and what it is asked for. Each is called over both doors of MCP. */
export const METHOD_PROBES: Readonly<Record<string, ToolProbe>> = {
  "tools/list": list,
  "resources/templates/list": list,
  "prompts/list": list,
  "resources/list": {
    ...signed_in,
    asks: ({ id }) => [{ cursor: `1:${Buffer.from(`9999-01-01T00:00:00Z ${id}`).toString("base64url")}` }],
    views: () => [{}],
  },
  "resources/read brain://guide/{name}": {
    ...signed_in,
    asks: ({ entity, id }) => [{ uri: `brain://guide/${entity}` }, { uri: `brain://guide/${id}` }],
    views: () => [{ uri: "brain://guide/memory" }],
  },
  "resources/read memory://{id}": {
    ...reading,
    asks: ({ ids }) => ids.map((id) => ({ uri: `memory://${id}` })),
    views: ({ ids }) => ids.map((id) => ({ uri: `memory://${id}` })),
  },
  "prompts/get recall_context": {
    ...reading,
    asks: ({ content, space }) => [
      prompt("recall_context", { task: content }),
      prompt("recall_context", { task: content, access_entity: space }),
    ],
    views: ({ words }: Own) => [prompt("recall_context", { task: words })],
  },
  "prompts/get store_decision": {
    needs: ["memories:read", "memories:write"],
    reads: true,
    asks: ({ content, space }) => [prompt("store_decision", { decision: content, access_entity: space })],
    views: ({ words }: Own) => [prompt("store_decision", { decision: words })],
  },
  "prompts/get review_memories": {
    ...reading,
    asks: ({ entity, space }) => [
      prompt("review_memories", { entity }),
      prompt("review_memories", { access_entity: space }),
    ],
    views: () => [prompt("review_memories", {}), prompt("review_memories", { category: "note" })],
  },
  "completion/complete entity": completed("entity", ({ entity }) => [entity, begins(entity), entity.toUpperCase()]),
  "completion/complete tag": completed("tag", ({ tag }) => [tag, begins(tag)]),
  // The name of a shared space may be what one's own begin with.
  "completion/complete access_entity": completed("access_entity", ({ sub }) => [`user:${sub}`]),
  "completion/complete category": notCompleted("category", ({ tag }) => tag),
  "completion/complete task": notCompleted("task", ({ content }) => content, "recall_context"),
  "completion/complete decision": notCompleted("decision", ({ content }) => content, "store_decision"),
  "completion/complete reason": notCompleted("reason", ({ content }) => content, "store_decision"),
  "completion/complete id": {
    ...signed_in,
    asks: ({ id }) => [{ ref: { type: "ref/resource", uri: "memory://{id}" }, argument: { name: "id", value: id } }],
  },
  "completion/complete name": {
    ...signed_in,
    asks: ({ entity }) => [
      { ref: { type: "ref/resource", uri: "brain://guide/{name}" }, argument: { name: "name", value: entity } },
    ],
  },
};
