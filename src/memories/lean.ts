import { type Static, t } from "elysia";
import { quoted } from "../json.ts";
import type { Memory } from "./schema.ts";

/** A memory as a model needs it: what says nothing (null, empty) and what serves programs is left out. */
export const LeanMemory = t.Object({
  id: t.String(),
  content: t.String(),
  category: t.String(),
  access_entity: t.String(),
  state: t.String(),
  revision: t.Number(),
  owner: t.String(),
  app: t.String(),
  created_at: t.String(),
  updated_at: t.String(),
  artifact_type: t.Optional(t.String()),
  artifact_ref: t.Optional(t.String()),
  entities: t.Optional(t.Array(t.String())),
  thread: t.Optional(t.String()),
  evidence: t.Optional(t.Array(t.String())),
  tags: t.Optional(t.Object({})),
  code_refs: t.Optional(t.Array(t.Object({}))),
  source: t.Optional(t.String()),
  metadata: t.Optional(t.Object({})),
  supersedes: t.Optional(t.String()),
  superseded_by: t.Optional(t.String()),
});
export type LeanMemory = Static<typeof LeanMemory>;

export function lean<M extends Partial<Memory>>({ app_id: _app, scope: _scope, source, ...memory }: M): Leaned<M> {
  const told = Object.entries(memory).filter(([, value]) => value !== null && !isEmpty(value));
  return { ...Object.fromEntries(told), ...(source && source !== "user" && { source }) } as Leaned<M>;
}

/** Of a whole memory the whole, of a part of one that part. */
type Leaned<M> = M extends Memory ? LeanMemory : Partial<LeanMemory> & Pick<LeanMemory, "id">;

const isEmpty = (value: unknown) => typeof value === "object" && value !== null && Object.keys(value).length === 0;

/** Characters of a text that a rendering shows. */
export const PREVIEW = 280;

/** One line for a memory, its text quoted so that it cannot pass for ours. */
export const line = ({ id, category, content }: LeanMemory, extra = "") =>
  `${id} ${category}${extra} ${quoted(preview(content, PREVIEW))}`;

/** The beginning of a text, at most so many characters and a sign that there is more. */
export function preview(text: string, length: number): string {
  const characters = [...text.slice(0, 2 * length + 2)]; // a character is one or two units
  return characters.length > length ? `${characters.slice(0, length).join("")}…` : text;
}
