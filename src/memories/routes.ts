import { Elysia, t } from "elysia";
import { signedIn } from "../http/signed_in.ts";
import { closed, Id } from "../schema.ts";
import { Deleted, ListQuery, Memory, MemoryChanges, MemoryIds, MemoryPage, NewMemories, NewMemory } from "./schema.ts";
import {
  addMemories,
  addMemory,
  deleteMemories,
  deleteMemory,
  getMemory,
  listMemories,
  updateMemory,
} from "./service.ts";

const ById = t.Object({ id: Id });

export const memoryRoutes = new Elysia({ name: "memories", prefix: "/api/v1/memories", normalize: false })
  .use(signedIn)
  .get("", ({ caller, query }) => listMemories(caller, query), {
    query: ListQuery,
    response: { 200: MemoryPage },
    detail: { summary: "List memories, newest first", tags: ["memories"] },
  })
  .post("", async ({ caller, body, status }) => status(201, await addMemory(caller, body)), {
    body: NewMemory,
    response: { 201: Memory },
    detail: { summary: "Store a memory", tags: ["memories"] },
  })
  .post(
    "/batch",
    async ({ caller, body, status }) => status(201, { items: await addMemories(caller, body.memories) }),
    {
      body: NewMemories,
      response: { 201: t.Object({ items: t.Array(Memory) }, closed) },
      detail: { summary: "Store up to 100 memories, all or none", tags: ["memories"] },
    },
  )
  .delete("", ({ caller, body }) => deleteMemories(caller, body.memory_ids), {
    body: MemoryIds,
    response: { 200: Deleted },
    detail: { summary: "Delete memories by ids", tags: ["memories"] },
  })
  .get("/:id", ({ caller, params }) => getMemory(caller, params.id), {
    params: ById,
    response: { 200: Memory },
    detail: { summary: "Read a memory", tags: ["memories"] },
  })
  .put("/:id", ({ caller, params, body }) => updateMemory(caller, params.id, body), {
    params: ById,
    body: MemoryChanges,
    response: { 200: Memory },
    detail: { summary: "Change the given fields of a memory", tags: ["memories"] },
  })
  .delete(
    "/:id",
    async ({ caller, params }) => {
      await deleteMemory(caller, params.id);
      return new Response(null, { status: 204 });
    },
    { params: ById, detail: { summary: "Delete a memory", tags: ["memories"] } },
  );
