import { type Static, t } from "elysia";
import { CATEGORIES, SpaceName, STATES } from "../memories/schema.ts";
import { closed, nullable, oneOf } from "../schema.ts";

const UUID = t.String({ format: "uuid" });
const Moment = t.Union(
  [t.String({ minLength: 1, maxLength: 40 }), t.Number({ minimum: 0, maximum: 253_402_300_799, multipleOf: 1 })],
  { description: "RFC 3339, or whole seconds since 1970." },
);
const several = <S extends ReturnType<typeof oneOf> | typeof UUID | typeof SpaceName>(item: S, description: string) =>
  t.Array(item, { minItems: 1, maxItems: 64, description });

export const ExportRequest = t.Object(
  {
    access_entity: t.Optional(SpaceName),
    access_entities: t.Optional(several(SpaceName, "Several spaces.")),
    app_id: t.Optional(t.String({ format: "uuid", description: "Written through this app." })),
    app_ids: t.Optional(several(UUID, "Written through one of these apps.")),
    category: t.Optional(oneOf(CATEGORIES)),
    categories: t.Optional(several(oneOf(CATEGORIES), "Several categories.")),
    states: t.Optional(
      several(oneOf(STATES), "Default all four: what was deleted and can still be restored is in the archive too."),
    ),
    from_date: t.Optional(Moment),
    to_date: t.Optional(Moment),
    include_vectors: t.Optional(
      t.Boolean({ description: "Taken and without effect: an archive has no vectors, they are made anew." }),
    ),
  },
  closed,
);
export type ExportRequest = Static<typeof ExportRequest>;

export const MODES = ["skip", "overwrite"] as const;

export const ImportQuery = t.Object(
  {
    mode: t.Optional(
      oneOf(MODES, {
        description: "What becomes of memories that are there already: left alone (default), or changed.",
      }),
    ),
    dry_run: t.Optional(oneOf(["true", "false"], { description: "Say what would happen, and change nothing." })),
    access_entity: t.Optional(
      t.String({ ...SpaceName, description: "Put all of it into this space, wherever it was." }),
    ),
  },
  closed,
);
export type ImportQuery = Static<typeof ImportQuery>;

/** Why something of an archive was not taken over. */
const Reason = t.Object(
  {
    line: t.Number({ description: "Which line, or element of the list, from 1." }),
    id: nullable(t.String({ description: "The id it has in the archive, where it has a readable one." })),
    code: t.String({ description: "As in problems." }),
    message: t.String(),
    at: t.Optional(t.String({ description: "Which field." })),
  },
  closed,
);
export type Reason = Static<typeof Reason>;

export const ImportReport = t.Object(
  {
    format: oneOf(["coding-brain", "earlier"], { description: "What kind of archive it was." }),
    dry_run: t.Boolean(),
    created: t.Number(),
    updated: t.Number(),
    skipped: t.Number({ description: "There already: the same memory, or one that says exactly the same." }),
    rejected: t.Number(),
    reasons: t.Array(Reason, { description: "Of the first 100 that were rejected." }),
    relations: t.Number({ description: "Relations added." }),
    events: t.Number({ description: "Events added." }),
    aliases: t.Number({ description: "Names merged into others." }),
    links_left_out: t.Number({ description: "What memories that were taken over point to, and that is not there." }),
    links: t.Array(Reason, { description: "The first 100 of these." }),
  },
  closed,
);
export type ImportReport = Static<typeof ImportReport>;
