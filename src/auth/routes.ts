import { Elysia } from "elysia";
import { signedIn } from "../http/signed_in.ts";
import { WhoAmI } from "./schema.ts";
import { whoAmI } from "./service.ts";

export const tokenRoutes = new Elysia({ name: "tokens", prefix: "/api/v1/tokens", normalize: false })
  .use(signedIn)
  .get("/me", ({ caller }) => whoAmI(caller), {
    response: { 200: WhoAmI },
    detail: { summary: "Who am I: user, org, scopes, grants, expiry", tags: ["tokens"] },
  });
