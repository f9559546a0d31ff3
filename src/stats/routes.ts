import { Elysia } from "elysia";
import { signedIn } from "../http/signed_in.ts";
import { Stats, StatsQuery } from "./schema.ts";
import { getStats } from "./service.ts";

export const statsRoutes = new Elysia({ name: "stats", prefix: "/api/v1/stats", normalize: false })
  .use(signedIn)
  .get("", ({ caller, query }) => getStats(caller, query), {
    query: StatsQuery,
    response: { 200: Stats },
    detail: { summary: "What one sees, counted by state, category, space, app and day", tags: ["stats"] },
  });
