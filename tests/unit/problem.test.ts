import { describe, expect, test } from "bun:test";
import postgres from "postgres";
import { notFound, PROBLEM_CODES, problemFrom } from "../../src/problem.ts";

/** As postgres.js makes them of what the server sends. */
const databaseError = (fields: Record<string, string>) =>
  Object.assign(Object.create(postgres.PostgresError.prototype) as Error, {
    name: "PostgresError",
    message: "secret detail",
    ...fields,
  });

describe("what the database throws", () => {
  test.each([
    ["BRN01", "TOKEN_REVOKED"],
    ["BRN02", "FORBIDDEN_ACCESS_ENTITY"],
    ["23505", "CONFLICT"],
    ["22021", "INVALID_INPUT"],
    ["22P05", "INVALID_INPUT"],
    ["54000", "INVALID_INPUT"],
    ["57014", "UNAVAILABLE"],
    ["55P03", "UNAVAILABLE"],
    ["25P03", "UNAVAILABLE"],
    ["40P01", "UNAVAILABLE"],
    ["53100", "UNAVAILABLE"],
    ["53300", "UNAVAILABLE"],
    ["57P01", "UNAVAILABLE"],
    ["08006", "UNAVAILABLE"],
    ["42883", "UNAVAILABLE"],
    ["42501", "INTERNAL"],
    ["23503", "INTERNAL"],
    ["XX000", "INTERNAL"],
  ])("SQLSTATE %s is %s, and its message stays inside", (code, expected) => {
    const problem = problemFrom(databaseError({ code, detail: "secret detail", constraint_name: "x" }));
    expect(problem.code).toBe(expected as typeof problem.code);
    expect(JSON.stringify(problem.toBody("id"))).not.toContain("secret");
    expect(problem.status === 503).toBe(problem.extras.headers?.["retry-after"] !== undefined);
  });

  test("a lost connection does not claim that nothing was written", () => {
    expect(problemFrom(databaseError({ code: "57P01" })).detail).not.toContain("nothing was changed");
  });

  test("a check of the table names the field", () => {
    const problem = problemFrom(databaseError({ code: "23514", constraint_name: "memories_content_check" }));
    expect(problem.toBody("id")).toMatchObject({ code: "INVALID_INPUT", errors: [{ at: "content" }] });
  });
});

test.each([
  ["an error", new Error("secret")],
  ["a type error", new TypeError("secret")],
  ["a text", "secret"],
  ["null", null],
  ["nothing", undefined],
  ["an object with a code", { code: "NOT_FOUND" }],
])("anything else is INTERNAL: %s", (_what, thrown) => {
  const problem = problemFrom(thrown);
  expect(problem.toBody("an id")).toEqual({
    type: "urn:coding-brain:problem:internal",
    title: "Internal error",
    status: 500,
    code: "INTERNAL",
    detail: expect.not.stringContaining("secret"),
    request_id: "an id",
  });
});

test("a problem stays itself, also as the cause of what the framework wraps it in", () => {
  const problem = notFound("memory");
  expect(problemFrom(problem)).toBe(problem);
  expect(problemFrom(new Error("wrapped", { cause: problem }))).toBe(problem);
});

test("codes are upper case", () => {
  for (const code of PROBLEM_CODES) expect(code).toMatch(/^[A-Z_]+$/);
});
