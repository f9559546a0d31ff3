import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Elysia, type TSchema } from "elysia";
import { ROUTE_NEEDS } from "../auth/scopes.ts";
import { presentOf } from "../schema.ts";
import { VERSION } from "../version.ts";
import { described, type RouteDetail } from "./described.ts";
import { components, refTo, withNames } from "./openapi_parts.ts";

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
  detail?: RouteDetail;
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
      { detail: described({ summary: "This document", tags: ["operations"], "x-answer": "application/json" }) },
    )
    .get("/docs", () => new Response(PAGE, { headers: PAGE_HEADERS }), {
      detail: described({
        summary: "This document as a page; loads nothing from elsewhere",
        tags: ["operations"],
        "x-answer": "text/html",
      }),
    });
}

function openapiOf(routes: readonly RegisteredRoute[]) {
  const paths: Record<string, Record<string, object>> = {};
  for (const { method, path, hooks } of routes) {
    const name = path.replace(/:(\w+)/g, "{$1}");
    paths[name] = { ...paths[name], [method.toLowerCase()]: operationOf(method, path, hooks) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Coding Brain",
      version: VERSION,
      description: "Long-term memory for teams of developers and their assistants.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    tags: [...new Set(routes.flatMap(({ hooks }) => hooks.detail?.tags ?? []))].map((name) => ({ name })),
    paths,
    components: components(),
  };
}

function operationOf(method: string, path: string, hooks: RouteHooks) {
  const { query, params, detail = {} } = hooks;
  const needs = ROUTE_NEEDS[`${method} ${path}`] ?? [];
  const request_body = requestBodyOf(hooks);
  return {
    summary: detail.summary,
    tags: detail.tags,
    operationId: `${method} ${path}`
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "_")
      .replace(/_$/, ""),
    ...(needs !== "public" && needs.length > 0 && { description: `Needs the scope ${needs.join(" and ")}.` }),
    security: needs === "public" ? [] : [{ bearer: [] }],
    parameters: [
      ...parametersIn("path", params),
      ...parametersIn("query", query),
      ...(detail["x-retriable"] ? [refTo("parameters", "IdempotencyKey")] : []),
      ...(detail["x-guarded"] ? [refTo("parameters", "IfMatch")] : []),
    ],
    ...(request_body && { requestBody: request_body }),
    responses: {
      ...answersOf(method, hooks),
      ...Object.fromEntries(
        problemsOf(method, path, hooks).map((status) => [status, refTo("responses", `Problem${status}`)]),
      ),
      default: {
        description: "Any other problem.",
        content: { "application/problem+json": { schema: refTo("schemas", "Problem") } },
      },
    },
  };
}

function requestBodyOf({ body, detail = {} }: RouteHooks) {
  if (detail["x-upload"]) {
    const file = { type: "string", format: "binary", description: detail["x-upload"] };
    const schema = { type: "object", required: ["file"], properties: { file }, additionalProperties: false };
    return { required: true, content: { "multipart/form-data": { schema } } };
  }
  if (detail["x-json"]) return { required: true, content: { "application/json": { schema: {} } } };
  if (!body) return undefined;
  const present = presentOf(body);
  return {
    required: present === body, // what may be null may be left out
    content: { "application/json": { schema: withNames(present) } },
  };
}

function answersOf(method: string, { response, detail = {} }: RouteHooks) {
  const headers = detail["x-etag"] && {
    headers: { ETag: { description: "Its revision, quoted.", schema: { type: "string" } } },
  };
  if (response)
    return Object.fromEntries(
      Object.entries(response).map(([status, schema]) => [
        status,
        { description: "Done.", ...headers, content: { "application/json": { schema: withNames(schema) } } },
      ]),
    );
  const status = detail["x-status"] ?? (method === "DELETE" ? 204 : 200);
  const type = detail["x-answer"];
  const schema =
    type === "application/zip"
      ? { type: "string", format: "binary" }
      : /json/.test(type ?? "")
        ? {}
        : { type: "string" };
  return { [status]: { description: "Done.", ...(type && { content: { [type]: { schema } } }) } };
}

/** Statuses of the problems an operation can give, but for what any may: 405 for its path, 499 when nobody is there. */
function problemsOf(method: string, path: string, { body, query, params, detail = {} }: RouteHooks): number[] {
  const is_public = ROUTE_NEEDS[`${method} ${path}`] === "public";
  const takes_body = body !== undefined || detail["x-upload"] !== undefined || detail["x-json"] === true;
  const writes = method !== "GET" && path.startsWith("/api");
  return [
    400,
    ...(is_public ? [] : [401]),
    403,
    ...(params || body || path.startsWith("/metrics") ? [404] : []),
    ...(detail["x-stream"] || detail["x-json"] ? [406] : []),
    ...(writes ? [409] : []),
    ...(takes_body ? [413, 415] : []),
    ...(takes_body || query || params || path.startsWith("/api") ? [422] : []),
    429,
    431,
    500,
    503,
  ];
}

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
