import { t } from "elysia";
import { quoted } from "../json.ts";
import { defineTool } from "../mcp/tool.ts";
import { invalidInput, Problem } from "../problem.ts";
import { closed, Id } from "../schema.ts";
import { withinBudget } from "./budget.ts";
import { cursorOf } from "./cursor.ts";
import { deleteMemories } from "./delete.ts";
import { filterOf } from "./filter.ts";
import { MOVED } from "./filter_schema.ts";
import { memoryHistory } from "./history.ts";
import { LeanMemory, lean, line, PREVIEW, preview } from "./lean.ts";
import { memoryLinks } from "./links.ts";
import { listMemories } from "./list.ts";
import { Deleted, type MemoryChanges, type NewMemory, Similars } from "./schema.ts";
import { addMemories, addMemory, getMemory, updateMemory } from "./service.ts";
import {
  Changes,
  Ids,
  Listing,
  MOVED_IN_WRITES,
  type NewText,
  NewTexts,
  toldOfChanges,
  toldOfKey,
  toldOfListing,
  toldOfNewTexts,
} from "./tool_inputs.ts";

const counted = (count: number, what: string) => `${count} ${count === 1 ? what : what.replace(/y$/, "ies")}`;

export const memoryTools = [
  defineTool({
    name: "add_memories",
    title: "Store memories",
    description:
      "Call it when a decision, convention, fact or lesson should outlive this session. Gives the id and space of each.",
    effect: "adds",
    input: NewTexts,
    told: toldOfNewTexts,
    moved: MOVED_IN_WRITES,
    output: t.Object({
      memories: t.Array(
        t.Object({
          id: t.String(),
          access_entity: t.String(),
          created_at: t.String(),
          duplicate: t.Optional(t.Boolean({ description: "It was there before." })),
          similar: t.Optional(Similars),
        }),
      ),
    }),
    async run(caller, { text, memories, idempotency_key, ...given }, progress) {
      if ((text === undefined) === (memories === undefined))
        throw invalidInput([{ at: "text", message: "give either text or memories" }]);
      if (memories && Object.keys(given).length > 0)
        throw invalidInput(
          Object.keys(given).map((field) => ({ at: field, message: "goes into each of memories, not beside it" })),
        );
      const total = memories?.length ?? 1;
      progress(0, total);
      const stored =
        text === undefined
          ? await namingText(addMemories(caller, (memories ?? []).map(asNewMemory), { idempotency_key }))
          : [await namingText(addMemory(caller, asNewMemory({ text, ...given }), { idempotency_key }))];
      progress(total, total);
      return {
        memories: stored.map(({ id, access_entity, created_at, duplicate, similar }) => ({
          id,
          access_entity,
          created_at,
          ...(duplicate && { duplicate }),
          ...(similar && { similar }),
        })),
      };
    },
    text: ({ memories }) => `Stored ${counted(memories.length, "memory")}: ${memories.map(({ id }) => id).join(", ")}`,
  }),

  defineTool({
    name: "list_memories",
    title: "List memories",
    description: "Call it to see what was stored last, or to walk through everything. Gives memories, newest first.",
    effect: "reads",
    input: Listing,
    told: toldOfListing,
    moved: MOVED,
    output: t.Object({
      items: t.Array(t.Composite([LeanMemory, t.Object({ is_preview: t.Optional(t.Boolean()) })])),
      total: t.Optional(t.Number()),
      left_out: t.Optional(t.Number()),
      next_cursor: t.Optional(t.String()),
    }),
    async run(caller, { filter = {}, limit, cursor, max_tokens }) {
      const paging = { ...(limit && { size: limit }), ...(cursor && { cursor }) };
      const { items, total, next_cursor } = await listMemories(caller, paging, filterOf(filter));
      const all = items.map(lean);
      const page = max_tokens === undefined ? { items: all } : withinBudget(all, max_tokens);
      const last = page.items.length < all.length ? page.items.at(-1) : undefined;
      const next = last ? cursorOf(last) : next_cursor;
      return { ...page, ...(total !== null && { total }), ...(next && { next_cursor: next }) };
    },
    text: ({ items, left_out, next_cursor }) =>
      [
        `${counted(items.length, "memory")}${left_out ? `, ${left_out} left out` : ""}${next_cursor ? ", more with next_cursor" : ""}.`,
        ...items.map((item) => line(item)),
      ].join("\n"),
  }),

  defineTool({
    name: "get_memory",
    title: "Read a memory",
    description:
      "Call it with an id when a preview is not enough. Gives the whole memory, on request with its last revisions and " +
      "the memories it is linked to.",
    effect: "reads",
    input: t.Object(
      {
        memory_id: Id,
        history: t.Optional(t.Boolean({ description: "Default false." })),
        links: t.Optional(t.Boolean({ description: "Default false." })),
      },
      closed,
    ),
    output: t.Composite([
      LeanMemory,
      t.Object({
        history: t.Optional(
          t.Array(
            t.Object({
              revision: t.Number(),
              content: t.String(),
              state: t.String(),
              updated_at: t.String(),
              updated_by: t.String(),
            }),
          ),
        ),
        links: t.Optional(
          t.Array(
            t.Object({
              relation: t.String(),
              id: t.String(),
              category: t.String(),
              created_at: t.String(),
              preview: t.String(),
            }),
          ),
        ),
      }),
    ]),
    async run(caller, { memory_id, history = false, links = false }) {
      const memory = lean(await getMemory(caller, memory_id));
      const linked = links ? { links: await memoryLinks(caller, memory_id) } : {};
      if (!history) return { ...memory, ...linked };
      const { items } = await memoryHistory(caller, memory_id, {});
      const told = ({ revision, content, state, updated_at, updated_by }: (typeof items)[number]) => ({
        revision,
        content,
        state,
        updated_at,
        updated_by,
      });
      return { ...memory, ...linked, history: items.map(told) };
    },
    text: ({ id, category, content, links = [], history = [] }) =>
      [
        `${id} ${category} ${quoted(content)}`,
        ...links.map((link) => `${link.relation}: ${link.id} ${link.category} ${quoted(link.preview)}`),
        ...history.map((was) => `revision ${was.revision}: ${quoted(preview(was.content, PREVIEW))}`),
      ].join("\n"),
  }),

  defineTool({
    name: "update_memory",
    title: "Change a memory",
    description:
      "Call it when a stored memory is no longer right: what you leave out stays, access_entity moves it. Gives its new " +
      "revision.",
    effect: "changes",
    input: Changes,
    told: toldOfChanges,
    moved: MOVED_IN_WRITES,
    output: t.Object({ id: t.String(), revision: t.Number(), access_entity: t.String(), updated_at: t.String() }),
    async run(caller, { memory_id, text, clear = [], if_revision, idempotency_key, ...given }) {
      const changes = {
        ...given,
        ...(text !== undefined && { content: text }),
        ...Object.fromEntries(clear.map((field) => [field, null])),
      } as MemoryChanges;
      const both = clear.filter((field) => field in given);
      if (both.length > 0) throw invalidInput(both.map((at) => ({ at, message: "is both given and cleared" })));
      if (Object.keys(changes).length === 0)
        throw invalidInput([{ at: "", message: "needs at least one field to change" }]);
      const { id, revision, access_entity, updated_at } = await namingText(
        updateMemory(caller, memory_id, changes, { if_revision, idempotency_key }),
      );
      return { id, revision, access_entity, updated_at };
    },
    text: ({ id, revision }) => `Changed ${id}, now revision ${revision}.`,
  }),

  defineTool({
    name: "delete_memories",
    title: "Delete memories",
    description:
      "Call it with ids of memories that are wrong or not wanted. Gives how many were deleted, and how many not found.",
    effect: "deletes",
    input: Ids,
    told: toldOfKey,
    output: Deleted,
    run: (caller, { memory_ids, idempotency_key }) => deleteMemories(caller, memory_ids, { idempotency_key }),
    text: ({ deleted, skipped }) => `Deleted ${deleted}, skipped ${skipped}.`,
  }),
];

/** A refusal of the service says content; whoever called the tool wrote text. */
async function namingText<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof Problem) || !error.extras.errors) throw error;
    const errors = error.extras.errors.map(({ at, message }) => ({
      at: at.replace(/(^|\.)content$/, "$1text"),
      message,
    }));
    throw new Problem(error.code, error.detail, { ...error.extras, errors });
  }
}

/** The one name that differs: tools call it text, as their users know it; everything else calls it content. */
const asNewMemory = ({ text, ...rest }: NewText): NewMemory => ({ content: text, ...rest });
