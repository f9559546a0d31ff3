import { Elysia, t } from "elysia";
import { described } from "../http/described.ts";
import { tagged, writeOptions } from "../http/preconditions.ts";
import { signedIn } from "../http/signed_in.ts";
import { AccessLog } from "../recalls/schema.ts";
import { accessLog } from "../recalls/service.ts";
import { closed, Id } from "../schema.ts";
import { Categories, Changed, Selector } from "./action_schema.ts";
import { changeStates } from "./actions.ts";
import { listCategories } from "./categories.ts";
import { deleteMemories, deleteMemory } from "./delete.ts";
import { filterFrom, filterFromBody } from "./filter.ts";
import { FilterRequest } from "./filter_request.ts";
import { memoryHistory } from "./history.ts";
import { listMemories } from "./list.ts";
import {
  Deleted,
  History,
  HistoryQuery,
  ListQuery,
  Memory,
  MemoryChanges,
  MemoryIds,
  MemoryPage,
  NewMemories,
  NewMemory,
  Stored,
} from "./schema.ts";
import { addMemories, addMemory, getMemory, updateMemory } from "./service.ts";

const ById = t.Object({ id: Id }, closed);
const Batch = t.Object({ items: t.Array(Stored) }, closed);

const change = {
  params: ById,
  body: MemoryChanges,
  response: { 200: Memory },
  detail: described({
    summary: "Change the given fields of a memory",
    tags: ["memories"],
    "x-retriable": true,
    "x-guarded": true,
    "x-etag": true,
  }),
};

const acting = (summary: string) => ({
  body: Selector,
  response: { 200: Changed },
  detail: described({ summary, tags: ["memories"], "x-retriable": true }),
});

export const memoryRoutes = new Elysia({ name: "memories", prefix: "/api/v1/memories", normalize: false })
  .use(signedIn)
  .get(
    "",
    ({ caller, query, request }) =>
      listMemories(caller, query, filterFrom(query, new URL(request.url).searchParams.getAll("tag"))),
    {
      query: ListQuery,
      response: { 200: MemoryPage },
      detail: { summary: "List memories, newest first", tags: ["memories"] },
    },
  )
  .post(
    "",
    async ({ caller, body, request, set, status }) => {
      const memory = await tagged(set, addMemory(caller, body, writeOptions(request)));
      return status(memory.duplicate ? 200 : 201, memory);
    },
    {
      body: NewMemory,
      response: { 200: Stored, 201: Stored },
      detail: described({
        summary: "Store a memory; 200 with the one that says the same already",
        tags: ["memories"],
        "x-retriable": true,
        "x-etag": true,
      }),
    },
  )
  .post(
    "/batch",
    async ({ caller, body, request, status }) => {
      const items = await addMemories(caller, body.memories, writeOptions(request));
      return status(items.every(({ duplicate }) => duplicate) ? 200 : 201, { items });
    },
    {
      body: NewMemories,
      response: { 200: Batch, 201: Batch },
      detail: described({ summary: "Store up to 100 memories, all or none", tags: ["memories"], "x-retriable": true }),
    },
  )
  .delete("", ({ caller, body, request }) => deleteMemories(caller, body.memory_ids, writeOptions(request)), {
    body: MemoryIds,
    response: { 200: Deleted },
    detail: described({ summary: "Delete memories by ids", tags: ["memories"], "x-retriable": true }),
  })
  .post("/filter", ({ caller, body }) => listMemories(caller, body, filterFromBody(body)), {
    body: FilterRequest,
    response: { 200: MemoryPage },
    detail: { summary: "List memories, with the filters as a body", tags: ["memories"] },
  })
  .get("/categories", ({ caller }) => listCategories(caller), {
    response: { 200: Categories },
    detail: { summary: "The categories of what one sees, with how many memories each has", tags: ["memories"] },
  })
  .post(
    "/actions/archive",
    ({ caller, body, request }) => changeStates(caller, "archive", body, writeOptions(request)),
    acting("Archive active memories: lists leave them out unless asked"),
  )
  .post(
    "/actions/pause",
    ({ caller, body, request }) => changeStates(caller, "pause", body, writeOptions(request)),
    acting("Pause active memories: they are left out everywhere until they are restored"),
  )
  .post(
    "/actions/restore",
    ({ caller, body, request }) => changeStates(caller, "restore", body, writeOptions(request)),
    acting("Make paused and archived memories active again; deleted ones by their ids"),
  )
  .get("/:id", ({ caller, params, set }) => tagged(set, getMemory(caller, params.id)), {
    params: ById,
    response: { 200: Memory },
    detail: described({ summary: "Read a memory", tags: ["memories"], "x-etag": true }),
  })
  .get("/:id/history", ({ caller, params, query }) => memoryHistory(caller, params.id, query), {
    params: ById,
    query: HistoryQuery,
    response: { 200: History },
    detail: { summary: "What a memory was, newest first; of a deleted one too", tags: ["memories"] },
  })
  .get("/:id/access-log", ({ caller, params, query }) => accessLog(caller, params.id, query), {
    params: ById,
    query: HistoryQuery,
    response: { 200: AccessLog },
    detail: { summary: "Who was shown a memory, newest first", tags: ["memories"] },
  })
  .put(
    "/:id",
    ({ caller, params, body, request, set }) =>
      tagged(set, updateMemory(caller, params.id, body, writeOptions(request))),
    change,
  )
  .patch(
    "/:id",
    ({ caller, params, body, request, set }) =>
      tagged(set, updateMemory(caller, params.id, body, writeOptions(request))),
    change,
  )
  .delete(
    "/:id",
    async ({ caller, params, request }) => {
      await deleteMemory(caller, params.id, writeOptions(request));
      return new Response(null, { status: 204 });
    },
    {
      params: ById,
      detail: described({ summary: "Delete a memory", tags: ["memories"], "x-retriable": true, "x-guarded": true }),
    },
  );
