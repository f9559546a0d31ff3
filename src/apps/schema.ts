import { type Static, t } from "elysia";
import { Memory } from "../memories/schema.ts";
import { closed, Instant, nullable, oneOf, Page, PageOf, Size } from "../schema.ts";

export const App = t.Object(
  {
    id: t.String({ format: "uuid", description: "The app_id of what came through it." }),
    name: t.String({ description: "rest, or what an MCP client calls itself." }),
    is_active: t.Boolean({ description: "False: its owner has paused it, and it writes nothing." }),
    created_at: Instant,
    total_memories_created: t.Number({ description: "Written through it, and the caller's to see." }),
    total_memories_accessed: t.Number({ description: "Different ones among its last 10000 answers that had any." }),
    first_accessed: nullable(Instant),
    last_accessed: nullable(Instant),
  },
  closed,
);
export type App = Static<typeof App>;

export const AppPage = PageOf(App);
export type AppPage = Static<typeof AppPage>;

export const AppsQuery = t.Object(
  {
    name: t.Optional(t.String({ minLength: 1, maxLength: 64, description: "A part of the name." })),
    is_active: t.Optional(oneOf(["true", "false"])),
    sort_by: t.Optional(oneOf(["name", "memories", "memories_accessed"], { description: "Default name." })),
    sort_direction: t.Optional(oneOf(["asc", "desc"], { description: "Default asc." })),
    page: t.Optional(Page),
    size: t.Optional(Size),
  },
  closed,
);
export type AppsQuery = Static<typeof AppsQuery>;

export const AppById = t.Object({ id: t.String({ format: "uuid", description: "Id of an app." }) }, closed);

export const Accessed = PageOf(t.Object({ memory: Memory, access_count: t.Number(), last_accessed: Instant }, closed));
export type Accessed = Static<typeof Accessed>;

export const AppPagesQuery = t.Object({ page: t.Optional(Page), size: t.Optional(Size) }, closed);
export type AppPagesQuery = Static<typeof AppPagesQuery>;

export const AppQuery = t.Object({ is_active: t.Optional(oneOf(["true", "false"])) }, closed);
export const AppChange = t.Object({ is_active: t.Boolean() }, closed);
