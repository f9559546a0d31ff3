import { Elysia } from "elysia";
import { signedIn } from "../http/signed_in.ts";
import { MemoryPage } from "../memories/schema.ts";
import { nullable } from "../schema.ts";
import { Accessed, App, AppById, AppChange, AppPage, AppPagesQuery, AppQuery, AppsQuery } from "./schema.ts";
import { activeFrom, getApp, listAccessed, listAppMemories, listApps, setApp } from "./service.ts";

export const appRoutes = new Elysia({ name: "apps", prefix: "/api/v1/apps", normalize: false })
  .use(signedIn)
  .get("", ({ caller, query }) => listApps(caller, query), {
    query: AppsQuery,
    response: { 200: AppPage },
    detail: { summary: "The clients one has come through", tags: ["apps"] },
  })
  .get("/:id", ({ caller, params }) => getApp(caller, params.id), {
    params: AppById,
    response: { 200: App },
    detail: { summary: "One of one's own apps", tags: ["apps"] },
  })
  .get("/:id/memories", ({ caller, params, query }) => listAppMemories(caller, params.id, query), {
    params: AppById,
    query: AppPagesQuery,
    response: { 200: MemoryPage },
    detail: { summary: "What was stored through an app, newest first", tags: ["apps"] },
  })
  .get("/:id/accessed", ({ caller, params, query }) => listAccessed(caller, params.id, query), {
    params: AppById,
    query: AppPagesQuery,
    response: { 200: Accessed },
    detail: { summary: "What an app was shown, most often first", tags: ["apps"] },
  })
  .put(
    "/:id",
    ({ caller, params, query, body }) => setApp(caller, params.id, activeFrom(query.is_active, body ?? null)),
    {
      params: AppById,
      query: AppQuery,
      body: nullable(AppChange),
      response: { 200: App },
      detail: { summary: "Pause an app, or let it write again; is_active as query or body", tags: ["apps"] },
    },
  );
