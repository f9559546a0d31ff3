import { Elysia } from "elysia";
import { described } from "../http/described.ts";
import { signedIn } from "../http/signed_in.ts";
import { nullable } from "../schema.ts";
import { RevokeRequest, WhoAmI } from "./schema.ts";
import { revoke, whoAmI } from "./service.ts";

export const tokenRoutes = new Elysia({ name: "tokens", prefix: "/api/v1/tokens", normalize: false })
  .use(signedIn)
  .get("/me", ({ caller }) => whoAmI(caller), {
    response: { 200: WhoAmI },
    detail: { summary: "Who am I: user, org, scopes, grants, expiry", tags: ["tokens"] },
  })
  .post(
    "/revoke",
    async ({ caller, body }) => {
      await revoke(caller, body ?? {});
      return new Response(null, { status: 204 });
    },
    {
      body: nullable(RevokeRequest),
      detail: described({
        summary: "Refuse a token from now on: the one sent, or with admin:write any of the org",
        tags: ["tokens"],
        "x-status": 204,
      }),
    },
  );
