import { t } from "elysia";
import { PROBLEM_CODES, Problem } from "../problem.ts";
import { NAMED } from "./named_schemas.ts";

const ProblemSchema = t.Object({
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

export const refTo = (kind: "schemas" | "responses" | "parameters" | "headers", name: string) => ({
  $ref: `#/components/${kind}/${name}`,
});

/** Whole numbers that tell of a limit, on every answer under one. */
const LIMIT_HEADERS = {
  "X-RateLimit-Limit": "Requests at once.",
  "X-RateLimit-Remaining": "How many of them are left.",
  "X-RateLimit-Reset": "Unix seconds when all of them are there again.",
};

const codesOf = (status: number) => PROBLEM_CODES.filter((code) => new Problem(code, "").status === status);

/** Of a path rather than an operation, and of a client that has gone. */
const OF_NO_OPERATION = [405, 499];

const PROBLEM_STATUSES = [...new Set(PROBLEM_CODES.map((code) => new Problem(code, "").status))].filter(
  (status) => !OF_NO_OPERATION.includes(status),
);

export const components = () => ({
  securitySchemes: { bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT" } },
  parameters: {
    IdempotencyKey: {
      name: "Idempotency-Key",
      in: "header",
      description: "Makes a retried write the same write for 24 hours.",
      schema: { type: "string", pattern: "^[\\x21-\\x7e]{1,256}$" },
    },
    IfMatch: {
      name: "If-Match",
      in: "header",
      description: "Only if the memory is at this revision, as its ETag gives it.",
      schema: { type: "string", pattern: '^(\\*|"?[0-9]{1,9}"?)$' },
    },
  },
  headers: Object.fromEntries(
    Object.entries(LIMIT_HEADERS).map(([name, description]) => [name, { description, schema: { type: "integer" } }]),
  ),
  responses: Object.fromEntries(
    PROBLEM_STATUSES.map((status) => [
      `Problem${status}`,
      {
        description: `${codesOf(status).join(", ")}.`,
        headers: headersOf(status),
        content: { "application/problem+json": { schema: refTo("schemas", "Problem") } },
      },
    ]),
  ),
  schemas: {
    Problem: ProblemSchema,
    ...Object.fromEntries([...NAMED].map(([name, schema]) => [name, withNames(schema, true)])),
  },
});

function headersOf(status: number) {
  const limits = Object.fromEntries(Object.keys(LIMIT_HEADERS).map((name) => [name, refTo("headers", name)]));
  if (status === 401) return { "WWW-Authenticate": { schema: { type: "string" } } };
  if (status === 429) return { ...limits, "Retry-After": { description: "Seconds.", schema: { type: "integer" } } };
  if (status === 503) return { "Retry-After": { description: "Seconds.", schema: { type: "integer" } } };
  return {};
}

const NAMES = new Map([...NAMED].map(([name, schema]) => [JSON.stringify(schema), name]));

/** A schema with references in the places of what has a name; `is_definition` for one that is told under its own. */
export function withNames(schema: unknown, is_definition = false): unknown {
  if (Array.isArray(schema)) return schema.map((one) => withNames(one));
  if (typeof schema !== "object" || schema === null) return schema;
  const name = !is_definition && "properties" in schema ? NAMES.get(JSON.stringify(schema)) : undefined;
  if (name) return refTo("schemas", name);
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, withNames(value)]));
}
