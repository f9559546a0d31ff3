import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import type { Static, TSchema } from "elysia";
import { type Scope, TOOL_NEEDS } from "../auth/scopes.ts";
import type { Caller } from "../db.ts";
import { invalidInput, problemFrom } from "../problem.ts";
import { parse } from "../schema.ts";
import { printed } from "./print.ts";
import type { Toolset } from "./toolsets.ts";

/** What a tool does to what is stored; its four annotations follow from it, so that none can be forgotten. */
type Effect = "reads" | "adds" | "changes" | "deletes";

const ANNOTATIONS = {
  reads: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  adds: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  changes: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  deletes: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
} as const satisfies Record<Effect, object>;

/** What goes between a tool and its client while it works. */
export interface Exchange {
  /** What the client wants to hear of the progress by; absent where it does not. */
  readonly progress_token: string | number | undefined;
  /** Sends a notification. */
  tell(method: string, params: Record<string, unknown>): Promise<void>;
  /** Asks the client and gives its reply. No tool of ours does: most clients cannot be asked. */
  ask(method: string, params: Record<string, unknown>): Promise<Record<string, unknown>>;
}

/** How much of its work a tool has done. */
type Progress = (done: number, total: number) => void;

interface ToolDefinition<I extends TSchema, O extends TSchema> {
  name: string;
  title: string;
  /** Two sentences to a colleague: when to call it, what comes back. */
  description: string;
  effect: Effect;
  /** The set a client must ask for to have it; without one it is in the default set. */
  toolset?: Toolset;
  input: I;
  /** Fields of the input as tools/list prints them, where the whole of them would repeat what is told elsewhere. */
  told?: Record<string, TSchema>;
  /** Arguments that clients of the earlier system still send, and what to say of them. */
  moved?: Readonly<Record<string, string>>;
  output: O;
  run(caller: Caller, input: Static<I>, progress: Progress): Promise<Static<O>>;
  /** A short rendering for clients that show text only. Stored text appears in it quoted, as data. */
  text(output: Static<O>): string;
}

/** A tool as the registry holds it, its schemas' types erased. */
export interface Tool {
  readonly name: string;
  /** The scopes a token must hold to see and call it. */
  readonly needs: readonly Scope[];
  readonly toolset: Toolset | undefined;
  /** What tools/list prints. */
  readonly listed: object;
  /** Checks the arguments and runs it. Throws a Problem. */
  call(caller: Caller, args: unknown, exchange: Exchange): Promise<CallToolResult>;
}

/** A tool made of schemas. */
export interface DefinedTool extends Tool {
  /** What its arguments are held against; `listed` tells less of it. */
  readonly input: TSchema;
}

/** A tool for the registry. Throws at start where the table of scopes has no line for it. */
export function defineTool<I extends TSchema, O extends TSchema>(tool: ToolDefinition<I, O>): DefinedTool {
  const { name, title, description, effect, input, told, moved = {}, output } = tool;
  const needs = TOOL_NEEDS[name];
  if (!needs) throw new Error(`the tool ${name} has no line in TOOL_NEEDS`);
  return {
    name,
    needs,
    toolset: tool.toolset,
    input,
    listed: {
      name,
      title,
      description,
      inputSchema: { properties: {}, ...printed({ ...input, properties: { ...input.properties, ...told } }) },
      outputSchema: printed(output),
      annotations: ANNOTATIONS[effect],
    },
    async call(caller, args, { progress_token, tell }) {
      const progress: Progress = (done, total) => {
        if (progress_token !== undefined)
          void tell("notifications/progress", { progressToken: progress_token, progress: done, total });
      };
      const answer = await tool.run(caller, argumentsOf(input, args, moved), progress);
      return {
        content: [{ type: "text", text: tool.text(answer) }],
        structuredContent: answer as Record<string, unknown>,
      };
    },
  };
}

/** The arguments as the input's type. Throws INVALID_INPUT; what has moved is told with the words for it. */
function argumentsOf<I extends TSchema>(input: I, args: unknown, moved: Readonly<Record<string, string>>): Static<I> {
  try {
    return parse(input, withoutNulls(input, args));
  } catch (error) {
    const problem = problemFrom(error);
    const { errors = [] } = problem.extras;
    if (!errors.some(({ at }) => Object.hasOwn(moved, at))) throw error;
    throw invalidInput(
      errors.map(({ at, message }) => ({ at, message: (Object.hasOwn(moved, at) && moved[at]) || message })),
    );
  }
}

/** Models send null for a parameter they leave out. Dropped where the schema knows an optional field, nowhere else. */
function withoutNulls(schema: TSchema, value: unknown): unknown {
  if (Array.isArray(value)) return schema.items ? value.map((item) => withoutNulls(schema.items, item)) : value;
  const properties: Record<string, TSchema> | undefined = schema.properties;
  if (typeof value !== "object" || value === null || !properties) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, inner]) => inner !== null || !properties[key] || schema.required?.includes(key))
      .map(([key, inner]) => [key, properties[key] ? withoutNulls(properties[key], inner) : inner]),
  );
}
