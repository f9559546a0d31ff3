import type { PromptMessage } from "@modelcontextprotocol/sdk/types.js";
import type { Static, TSchema } from "elysia";
import type { Scope } from "../auth/scopes.ts";
import type { Caller } from "../db.ts";
import { parse } from "../schema.ts";

type Arguments = TSchema & { properties: Record<string, TSchema>; required?: string[] };

interface PromptDefinition<A extends Arguments> {
  name: string;
  title: string;
  description: string;
  needs: readonly Scope[];
  /** Closed; every argument is a text. */
  args: A;
  messages(caller: Caller, args: Static<A>): Promise<PromptMessage[]>;
}

/** A prompt as the registry holds it. */
export interface Prompt {
  readonly name: string;
  readonly needs: readonly Scope[];
  /** What prompts/list prints. */
  readonly listed: object;
  readonly description: string;
  /** Checks the arguments and writes the messages. Throws a Problem. */
  get(caller: Caller, args: unknown): Promise<PromptMessage[]>;
}

/** A prompt for the registry. */
export function definePrompt<A extends Arguments>({
  name,
  title,
  description,
  needs,
  args,
  messages,
}: PromptDefinition<A>): Prompt {
  const listed = Object.entries(args.properties).map(([argument, schema]) => ({
    name: argument,
    description: schema.description,
    required: args.required?.includes(argument) ?? false,
  }));
  return {
    name,
    needs,
    description,
    listed: { name, title, description, arguments: listed },
    get: (caller, given) => messages(caller, parse(args, given)),
  };
}
