import { type Static, t } from "elysia";
import { defineTool } from "../mcp/tool.ts";
import { invalidInput } from "../problem.ts";
import { Id, oneOf } from "../schema.ts";
import {
  CATEGORIES,
  CLEARABLE,
  Deleted,
  fields,
  type Memory,
  type MemoryChanges,
  type NewMemory,
  READABLE_STATES,
} from "./schema.ts";
import { addMemories, addMemory, deleteMemories, getMemory, listMemories, updateMemory } from "./service.ts";

const closed = { additionalProperties: false } as const;

const { content, entity: _, ...structured } = fields;

const structuredFields = t.Partial(t.Object(structured)).properties;

const NewText = t.Object({ text: content, ...structuredFields }, closed);
const MAX_TEXTS = 20;

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
});
export type LeanMemory = Static<typeof LeanMemory>;

export function lean({ app_id: _app, scope: _scope, source, ...memory }: Memory): LeanMemory {
  const told = Object.entries(memory).filter(([, value]) => value !== null && !isEmpty(value));
  return { ...Object.fromEntries(told), ...(source !== "user" && { source }) } as LeanMemory;
}

const isEmpty = (value: unknown) => typeof value === "object" && value !== null && Object.keys(value).length === 0;

const PREVIEW = 280;

/** One line for a memory, its text quoted so that it cannot pass for ours. */
export function line({ id, category, content }: LeanMemory, extra = "") {
  const characters = [...content];
  const preview = characters.length > PREVIEW ? `${characters.slice(0, PREVIEW).join("")}…` : content;
  return `${id} ${category}${extra} ${JSON.stringify(preview)}`;
}

const counted = (count: number, what: string) => `${count} ${count === 1 ? what : what.replace(/y$/, "ies")}`;

export const memoryTools = [
  defineTool({
    name: "add_memories",
    title: "Store memories",
    description:
      "Call it when a decision, convention, fact or lesson should outlive this session; give one text, or up to 20 " +
      "memories. Gives the id of each stored memory and its space.",
    effect: "adds",
    input: t.Object(
      {
        text: t.Optional(content),
        memories: t.Optional(
          t.Array(NewText, { minItems: 1, maxItems: MAX_TEXTS, description: "Several at once, instead of text." }),
        ),
        ...structuredFields,
      },
      closed,
    ),
    output: t.Object({
      memories: t.Array(t.Object({ id: t.String(), access_entity: t.String(), created_at: t.String() })),
    }),
    async run(caller, { text, memories, ...given }) {
      if ((text === undefined) === (memories === undefined))
        throw invalidInput([{ at: "text", message: "give either text or memories" }]);
      if (memories && Object.keys(given).length > 0)
        throw invalidInput(
          Object.keys(given).map((field) => ({ at: field, message: "goes into each of memories, not beside it" })),
        );
      const stored =
        text === undefined
          ? await addMemories(caller, (memories ?? []).map(asNewMemory))
          : [await addMemory(caller, asNewMemory({ text, ...given }))];
      return { memories: stored.map(({ id, access_entity, created_at }) => ({ id, access_entity, created_at })) };
    },
    text: ({ memories }) => `Stored ${counted(memories.length, "memory")}: ${memories.map(({ id }) => id).join(", ")}`,
  }),

  defineTool({
    name: "list_memories",
    title: "List memories",
    description:
      "Call it to see what was stored last, or to walk through everything. Gives memories newest first and a cursor " +
      "for the next page.",
    effect: "reads",
    input: t.Object(
      {
        state: t.Optional(oneOf(READABLE_STATES, { description: "Default active." })),
        category: t.Optional(oneOf(CATEGORIES)),
        access_entity: t.Optional(t.String({ minLength: 1, maxLength: 512 })),
        limit: t.Optional(t.Number({ minimum: 1, maximum: 100, multipleOf: 1, description: "Default 20." })),
        cursor: t.Optional(t.String({ minLength: 1, maxLength: 256 })),
      },
      closed,
    ),
    output: t.Object({
      items: t.Array(LeanMemory),
      total: t.Optional(t.Number()),
      next_cursor: t.Optional(t.String()),
    }),
    async run(caller, { limit, ...query }) {
      const { items, total, next_cursor } = await listMemories(caller, { ...query, ...(limit && { size: limit }) });
      return { items: items.map(lean), ...(total !== null && { total }), ...(next_cursor && { next_cursor }) };
    },
    text: ({ items, next_cursor }) =>
      [
        `${counted(items.length, "memory")}${next_cursor ? ", more with next_cursor" : ""}.`,
        ...items.map((item) => line(item)),
      ].join("\n"),
  }),

  defineTool({
    name: "get_memory",
    title: "Read a memory",
    description: "Call it with an id from a search or list when the preview is not enough. Gives the whole memory.",
    effect: "reads",
    input: t.Object({ memory_id: Id }, closed),
    output: LeanMemory,
    run: async (caller, { memory_id }) => lean(await getMemory(caller, memory_id)),
    text: ({ id, category, content }) => `${id} ${category} ${JSON.stringify(content)}`,
  }),

  defineTool({
    name: "update_memory",
    title: "Change a memory",
    description:
      "Call it when a stored memory is no longer right; what you leave out stays, and access_entity moves it. " +
      "Gives its new revision.",
    effect: "changes",
    input: t.Object(
      {
        memory_id: Id,
        text: t.Optional(content),
        ...structuredFields,
        clear: t.Optional(t.Array(oneOf(CLEARABLE), { maxItems: CLEARABLE.length, description: "Fields to empty." })),
      },
      closed,
    ),
    output: t.Object({ id: t.String(), revision: t.Number(), access_entity: t.String(), updated_at: t.String() }),
    async run(caller, { memory_id, text, clear = [], ...given }) {
      const changes = {
        ...given,
        ...(text !== undefined && { content: text }),
        ...Object.fromEntries(clear.map((field) => [field, null])),
      } as MemoryChanges;
      const both = clear.filter((field) => field in given);
      if (both.length > 0) throw invalidInput(both.map((at) => ({ at, message: "is both given and cleared" })));
      if (Object.keys(changes).length === 0)
        throw invalidInput([{ at: "", message: "needs at least one field to change" }]);
      const { id, revision, access_entity, updated_at } = await updateMemory(caller, memory_id, changes);
      return { id, revision, access_entity, updated_at };
    },
    text: ({ id, revision }) => `Changed ${id}, now revision ${revision}.`,
  }),

  defineTool({
    name: "delete_memories",
    title: "Delete memories",
    description:
      "Call it with ids when memories are wrong or not wanted any more. Gives how many were deleted, and how many " +
      "skipped because they were not found.",
    effect: "deletes",
    input: t.Object({ memory_ids: t.Array(Id, { minItems: 1, maxItems: 1000 }) }, closed),
    output: Deleted,
    run: (caller, { memory_ids }) => deleteMemories(caller, memory_ids),
    text: ({ deleted, skipped }) => `Deleted ${deleted}, skipped ${skipped}.`,
  }),
];

/** The one name that differs: tools call it text, as their users know it; everything else calls it content. */
const asNewMemory = ({ text, ...rest }: Static<typeof NewText>): NewMemory => ({ content: text, ...rest });
