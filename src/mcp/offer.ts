import type { Result, ServerCapabilities } from "@modelcontextprotocol/sdk/types.js";
import { memoryPrompts } from "../memories/prompts.ts";
import { memoryResources } from "../memories/resources.ts";
import { completions } from "./completions.ts";
import { guides } from "./guides.ts";
import type { Prompt } from "./prompt.ts";
import type { ResourceKind } from "./resource.ts";
import type { Tool } from "./tool.ts";
import { TOOLS } from "./tools.ts";

/** What an MCP server has to give. */
export interface Offer {
  readonly tools: readonly Tool[];
  /** In the order clients list them. */
  readonly resources: readonly ResourceKind[];
  readonly prompts: readonly Prompt[];
  readonly completions: typeof completions;
  /** Beyond what every server here has: capabilities, and methods by their names. */
  readonly capabilities?: ServerCapabilities;
  readonly methods?: Readonly<Record<string, () => Promise<Result>>>;
}

/** Ours. */
export const OFFER: Offer = { tools: TOOLS, resources: [guides, memoryResources], prompts: memoryPrompts, completions };
