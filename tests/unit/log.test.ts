import { describe, expect, test } from "bun:test";
import postgres from "postgres";
import { createLog, type LogFields, logProblem } from "../../src/log.ts";
import { internal, unavailable } from "../../src/problem.ts";

const written = (write: (log: ReturnType<typeof createLog>) => void) => {
  const lines: string[] = [];
  write(createLog("debug", (line) => void lines.push(line)));
  return lines.join("");
};
const told = (message: string, fields?: LogFields) => JSON.parse(written((log) => log("info", message, fields)));

const TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJlLW9m";

describe("secrets are not logged", () => {
  test.each([
    ["a token", TOKEN, "[removed]"],
    ["a token in the midst of a line", `got ${TOKEN}, and\nsaid no`, "got [removed], and\nsaid no"],
    ["a token after a line break", `said no:\n${TOKEN}\nat x`, "said no:\n[removed]\nat x"],
    ["a token stuck to other text", `id_${TOKEN}`, "id_[removed]"],
    ["a token that has been cut", TOKEN.slice(0, 40), "[removed]"],
    ["an encrypted one, of five parts", `${TOKEN}.abc.def`, "[removed]"],
    ["two tokens", `${TOKEN} ${TOKEN}`, "[removed] [removed]"],
    [
      "whatever Bearer is followed by",
      'authorization: bearer  s3"cret\\!\nnext',
      "authorization: bearer [removed]\nnext",
    ],
    ["a URL's password", "postgres://ada:s3cret@db:5432/x failed", "postgres://ada:[removed]@db:5432/x failed"],
    ["a password with an @ in it", "postgres://ada:s3@cr:t@db/x", "postgres://ada:[removed]@db/x"],
    ["a password without a user", "redis://:s3cret@cache", "redis://:[removed]@cache"],
    ["two URLs", "a://b:c@d/ and e://f:g@h", "a://b:[removed]@d/ and e://f:[removed]@h"],
  ])("%s", (_what, text, left) => {
    expect(told(text).message).toBe(left);
    expect(told("x", { cause: text }).cause).toBe(left);
    expect(told("x", { stack: `Error: ${text}` }).stack).toBe(`Error: ${left}`);
  });

  test.each([
    "a.b.c and keyJ alone, eyJ too",
    "http://127.0.0.1:8765/mcp?x=@1",
    "ada@example.com at http://example.com/",
    "Bearer",
    "/api/v1/memories/:id",
  ])("what is none stays: %s", (text) => expect(told(text).message).toBe(text));

  test("a text made to be slow to look through takes no time", () => {
    const text = ["eyJ", "bearer", "bearer ", "://:", "://a:", "eyJ.", "@"].map((part) => part.repeat(30_000)).join("");
    const started = performance.now();
    told(text);
    expect(performance.now() - started).toBeLessThan(500);
  });
});

describe("what a statement was given is not logged", () => {
  const databaseError = (facts: Partial<postgres.PostgresError>) =>
    // Its constructor is typed as a message; the driver gives it the server's fields (3.4.9).
    new postgres.PostgresError({ severity: "ERROR", ...facts } as unknown as string);

  test.each([
    ["22P02", { message: 'invalid input syntax for type uuid: "a plan\n    at sea"' }, "PostgresError 22P02"],
    [
      "23505",
      { message: "duplicate key", detail: "Key (content)=(a plan) already exists.", constraint_name: "plans_key" },
      "PostgresError 23505 plans_key",
    ],
  ])("of a %s the code and the constraint are told, and where it came from", (code, facts, cause) => {
    const line = written((log) => logProblem(log, internal(databaseError({ code, ...facts })), "an id"));
    expect(JSON.parse(line)).toMatchObject({ cause, stack: expect.stringMatching(/^at .*log\.test\.ts/s) });
    expect(line).not.toMatch(/plan"|a plan|\bsea\b|duplicate/);
  });

  test("other errors of the database are told as they are", () => {
    const line = written((log) =>
      logProblem(log, unavailable("x", databaseError({ code: "53100", message: "disk is full" })), "an id"),
    );
    expect(JSON.parse(line).cause).toBe("PostgresError: disk is full");
  });
});
