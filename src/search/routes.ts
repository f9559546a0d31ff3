import { Elysia } from "elysia";
import { signedIn } from "../http/signed_in.ts";
import { SearchAnswer, SearchRequest } from "./schema.ts";
import { searchMemories } from "./service.ts";

export const searchRoutes = new Elysia({ name: "search", prefix: "/api/v1/search", normalize: false })
  .use(signedIn)
  .post("", ({ caller, body }) => searchMemories(caller, body), {
    body: SearchRequest,
    response: { 200: SearchAnswer },
    detail: { summary: "Find memories by their words", tags: ["search"] },
  });
