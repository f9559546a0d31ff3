import { t } from "elysia";
import { defineTool } from "../mcp/tool.ts";
import { closed, oneOf } from "../schema.ts";
import { deleteAllMemories } from "./delete.ts";
import { Deleted, SpaceName } from "./schema.ts";

export const memoryAdminTools = [
  defineTool({
    name: "delete_all_memories",
    title: "Delete all memories",
    description:
      "Call it only when the user has asked to empty a space, or everything the token opens, team-mates' memories in " +
      "shared spaces included. Gives how many were deleted; a wrong number in confirm deletes nothing and names the right one.",
    effect: "deletes",
    toolset: "admin",
    input: t.Object(
      {
        confirm: t.String({ pattern: "^(0|[1-9][0-9]{0,8})$", description: "How many memories that is." }),
        access_entity: t.Optional(SpaceName),
      },
      closed,
    ),
    output: Deleted,
    run: (caller, { confirm, access_entity }) =>
      deleteAllMemories(caller, { expected: Number(confirm), access_entity }),
    text: ({ deleted }) => `Deleted ${deleted}.`,
  }),

  defineTool({
    name: "add_memories_status",
    title: "State of a write",
    description:
      "Writes are done when their tool answers, so there is no need to call it; it is here for clients that still ask. " +
      "Always gives that the work is done.",
    effect: "reads",
    toolset: "admin",
    input: t.Object(
      {
        job_id: t.Optional(t.String({ minLength: 1, maxLength: 128 })),
        status_filter: t.Optional(oneOf(["running", "completed", "failed", "all", "queued", "succeeded", "partial"])),
        limit: t.Optional(t.Number({ minimum: 1, maximum: 100, multipleOf: 1 })),
      },
      closed,
    ),
    output: t.Object({ status: t.Literal("done"), jobs: t.Array(t.Object({})), count: t.Literal(0) }),
    run: async () => ({ status: "done" as const, jobs: [], count: 0 as const }),
    text: () => "Done: memories are stored when add_memories answers.",
  }),
];
