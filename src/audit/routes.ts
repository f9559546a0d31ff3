import { Elysia } from "elysia";
import { signedIn } from "../http/signed_in.ts";
import { AuditPage, AuditQuery } from "./schema.ts";
import { listAudit } from "./service.ts";

export const auditRoutes = new Elysia({ name: "audit", prefix: "/api/v1/audit", normalize: false })
  .use(signedIn)
  .get("", ({ caller, query }) => listAudit(caller, query), {
    query: AuditQuery,
    response: { 200: AuditPage },
    detail: { summary: "What was done and refused in one's org, newest first", tags: ["audit"] },
  });
