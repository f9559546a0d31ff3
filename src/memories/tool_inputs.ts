import { type Static, t } from "elysia";
import { byName } from "../mcp/print.ts";
import { closed, oneOf } from "../schema.ts";
import { MemoryFilter } from "./filter_schema.ts";
import { CLEARABLE, fields } from "./schema.ts";

/** What the tools take: the fields of REST, `content` under the name `text`. What is told once is told short elsewhere. */
const { content, ...structured } = fields;
const structuredFields = t.Partial(t.Object(structured)).properties;

const idempotency_key = t.Optional(
  t.String({ pattern: "^[\\x21-\\x7e]{1,256}$", description: "Same key, same write, for 24 hours." }),
);
export const toldOfKey = byName({ idempotency_key });

const NewText = t.Object({ text: content, ...structuredFields }, closed);
export type NewText = Static<typeof NewText>;

export const NewTexts = t.Object(
  {
    text: t.Optional(content),
    memories: t.Optional(
      t.Array(NewText, { minItems: 1, maxItems: 20, description: "Several: text and the fields beside, each." }),
    ),
    ...structuredFields,
    idempotency_key,
  },
  closed,
);
const { memories } = NewTexts.properties;
export const toldOfNewTexts = {
  memories: { ...memories, items: { ...NewText, properties: byName({ text: content, ...structuredFields }) } },
  code_refs: t.Array(t.Object({}, { additionalProperties: true }), {
    description: "Places in code: path, and repo, symbol, line_start, line_end, commit, content_hash.",
  }),
  tags: t.Object({}, { additionalProperties: true, description: "Keys to texts, numbers or booleans." }),
};

const DONE_AT_ONCE = "is not needed: a write is done when it is answered";
const BY_THE_SERVICE = "cannot be set: the service writes it";
/** Arguments of the earlier system's writes, and what to say of them. */
export const MOVED_IN_WRITES = {
  async_mode: DONE_AT_ONCE,
  infer: "is not there: what is given is stored as it is",
  debug: "is not there",
  mcp_client: BY_THE_SERVICE,
  preserve_timestamps: BY_THE_SERVICE,
  add_tags: "is now tags, which replaces them all",
  remove_tags: "is now tags, which replaces them all",
  memory_ids: "is now memory_id: one memory a call",
};

export const Changes = t.Object(
  {
    memory_id: t.String({ format: "uuid" }),
    text: t.Optional(content),
    ...structuredFields,
    clear: t.Optional(t.Array(oneOf(CLEARABLE), { maxItems: CLEARABLE.length, description: "Fields to empty." })),
    if_revision: t.Optional(
      t.Number({ minimum: 1, maximum: 999_999_999, multipleOf: 1, description: "Only if still at this one." }),
    ),
    idempotency_key,
  },
  closed,
);
export const toldOfChanges = byName({ text: content, ...structuredFields, idempotency_key });

/** Lists show what was replaced too. */
const ListFilter = t.Omit(MemoryFilter, ["include_superseded"], { ...closed, description: "That of search_memory." });
export const Listing = t.Object(
  {
    filter: t.Optional(ListFilter),
    limit: t.Optional(t.Number({ minimum: 1, maximum: 100, multipleOf: 1, description: "Default 20." })),
    cursor: t.Optional(t.String({ minLength: 1, maxLength: 256 })),
    max_tokens: t.Optional(
      t.Number({ minimum: 500, maximum: 100_000, multipleOf: 1, description: "For the whole answer." }),
    ),
  },
  closed,
);
export const toldOfListing = { filter: { ...ListFilter, properties: byName(ListFilter.properties) } };

export const Ids = t.Object(
  { memory_ids: t.Array(t.String({ format: "uuid" }), { minItems: 1, maxItems: 1000 }), idempotency_key },
  closed,
);
