import { type LeanMemory, line, preview } from "./lean.ts";

/** What an answer takes beside its items. */
const ENVELOPE_TOKENS = 40;
const CHARACTERS_A_TOKEN = 4;

/** How many items of these sizes, in characters, fit into so many tokens; a token is counted as four characters. */
export function fittingInto(max_tokens: number, sizes: readonly number[]): number {
  let left = (max_tokens - ENVELOPE_TOKENS) * CHARACTERS_A_TOKEN;
  const cut = sizes.findIndex((size) => {
    left -= size;
    return left < 0;
  });
  return cut === -1 ? sizes.length : cut;
}

/** A memory in a list; `is_preview` where its text is cut and what can be left out is. */
export type Listed = LeanMemory & { is_preview?: boolean };

/**
 * The first of the memories, as many as fit with their lines in the rendering, and how many were left out. One is always
 * given, as a preview if need be: a walk through all of them must go on.
 */
export function withinBudget(memories: LeanMemory[], max_tokens: number): { items: Listed[]; left_out: number } {
  const size = (memory: LeanMemory) => JSON.stringify(memory).length + line(memory).length;
  const [first] = memories;
  const fitting = memories.slice(0, fittingInto(max_tokens, memories.map(size)));
  const items = fitting.length === 0 && first ? [shortened(first)] : fitting;
  return { items, left_out: memories.length - items.length };
}

const PREVIEW = 160;

function shortened({ id, content, category, access_entity, state, revision, owner, app, ...rest }: LeanMemory): Listed {
  const { created_at, updated_at } = rest;
  const kept = { id, category, access_entity, state, revision, owner, app, created_at, updated_at };
  return { ...kept, content: preview(content, PREVIEW), is_preview: true };
}
