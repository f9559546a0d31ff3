import { Elysia } from "elysia";
import { signedIn } from "../http/signed_in.ts";
import { LegRequest, SearchAnswer, SearchRequest } from "./schema.ts";
import { searchMemories } from "./service.ts";

export const searchRoutes = new Elysia({ name: "search", prefix: "/api/v1/search", normalize: false })
  .use(signedIn)
  .post("", ({ caller, body }) => searchMemories(caller, body), {
    body: SearchRequest,
    response: { 200: SearchAnswer },
    detail: { summary: "Find memories by their words, their links and their meaning", tags: ["search"] },
  })
  .post("/lexical", ({ caller, body }) => searchMemories(caller, { ...body, mode: "lexical" }), {
    body: LegRequest,
    response: { 200: SearchAnswer },
    detail: { summary: "Find memories by their words and links alone", tags: ["search"] },
  })
  .post("/semantic", ({ caller, body }) => searchMemories(caller, { ...body, mode: "semantic" }), {
    body: LegRequest,
    response: { 200: SearchAnswer },
    detail: { summary: "Find memories by their meaning alone", tags: ["search"] },
  });
