import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Elysia, type TSchema, t } from "elysia";
import { ROUTE_NEEDS } from "../auth/scopes.ts";
import { PROBLEM_CODES } from "../problem.ts";
import { VERSION } from "../version.ts";

const PAGE = readFileSync(join(import.meta.dir, "docs.html"), "utf8");

/** The page's own script and style are let run by their hashes, nothing else is. */
const hashOf = (tag: string) => {
  const [, text = ""] = new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`).exec(PAGE) ?? [];
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
};
const PAGE_HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy":
    `default-src 'none'; connect-src 'self'; script-src ${hashOf("script")}; style-src ${hashOf("style")}; ` +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
};

/** A route as it was registered. */
export interface RegisteredRoute {
  method: string;
  path: string;
  hooks: RouteHooks;
}

/** What a route was registered with, as far as we look at it. */
export interface RouteHooks {
  body?: TSchema;
  query?: TSchema;
  params?: TSchema;
  response?: Record<string, TSchema>;
  detail?: {
    summary?: string;
    tags?: string[];
    /** What GET opens stays open; there is no HEAD. */
    "x-stream"?: boolean;
    /** It takes a form with one `file`, which this says what it is; the route reads the body itself. */
    "x-upload"?: string;
    /** Media type of what it answers with, where that is no JSON. */
    "x-answer"?: string;
  };
}

/** Serves the document of the routes at /openapi.json, made at the first request from the schemas that validate, and a page that shows it. */
export function openapiRoutes(routes: readonly RegisteredRoute[]) {
  let document: string | undefined;
  return new Elysia({ name: "openapi", normalize: false })
    .get(
      "/openapi.json",
      () => {
        document ??= JSON.stringify(openapiOf(routes));
        return new Response(document, { headers: { "content-type": "application/json" } });
      },
      { detail: { summary: "This document", tags: ["operations"] } },
    )
    .get("/docs", () => new Response(PAGE, { headers: PAGE_HEADERS }), {
      detail: { summary: "This document as a page; loads nothing from elsewhere", tags: ["operations"] },
    });
}

function openapiOf(routes: readonly RegisteredRoute[]) {
  const paths: Record<string, Record<string, object>> = {};
  for (const { method, path, hooks } of routes) {
    const name = path.replace(/:(\w+)/g, "{$1}");
    paths[name] = { ...paths[name], [method.toLowerCase()]: operationOf(`${method} ${path}`, hooks) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Coding Brain",
      version: VERSION,
      description: "Long-term memory for teams of developers and their assistants.",
    },
    paths,
    components: {
      securitySchemes: { bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT" } },
      schemas: { Problem },
    },
  };
}

function operationOf(route: string, { body, query, params, response = {}, detail = {} }: RouteHooks) {
  const needs = ROUTE_NEEDS[route];
  const scopes = needs === "public" || !needs?.length ? "" : `Needs the scope ${needs.join(" and ")}.`;
  const answers = Object.entries(response).map(([status, schema]) => [
    status,
    answerOf("Done.", "application/json", schema),
  ]);
  return {
    ...detail,
    operationId: route
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "_")
      .replace(/_$/, ""),
    ...(scopes && { description: scopes }),
    ...(needs === "public" ? { security: [] } : { security: [{ bearer: [] }] }),
    parameters: [...parametersIn("path", params), ...parametersIn("query", query)],
    ...(body && { requestBody: { required: true, content: { "application/json": { schema: body } } } }),
    responses: {
      ...(answers.length === 0 && { [route.startsWith("DELETE") ? "204" : "200"]: { description: "Done." } }),
      ...Object.fromEntries(answers),
      default: answerOf("A problem.", "application/problem+json", { $ref: "#/components/schemas/Problem" }),
    },
  };
}

const answerOf = (description: string, type: string, schema: object) => ({
  description,
  content: { [type]: { schema } },
});

function parametersIn(where: "path" | "query", schema?: TSchema) {
  return Object.entries<TSchema>(schema?.properties ?? {}).map(([name, property]) => {
    const { description, ...rest } = property.told ?? property;
    return {
      name,
      in: where,
      required: where === "path" || (schema?.required ?? []).includes(name),
      ...(description && { description }),
      schema: rest,
    };
  });
}

const Problem = t.Object({
  type: t.String(),
  title: t.String(),
  status: t.Number(),
  code: t.String({ enum: PROBLEM_CODES }),
  detail: t.String(),
  request_id: t.String(),
  errors: t.Optional(t.Array(t.Object({ at: t.String(), message: t.String() }))),
  options: t.Optional(t.Array(t.String())),
  hint: t.Optional(t.String()),
});
