import { describe, expect, test } from "bun:test";
import { grantsFrom } from "../../src/auth/grants.ts";
import { createLog, shortened } from "../../src/log.ts";
import { TOOLS } from "../../src/mcp/tools.ts";
import { cursorFrom, cursorOf } from "../../src/memories/cursor.ts";
import { parseQuery } from "../../src/search/query.ts";

describe("a search query", () => {
  test.each([
    ["plain words", { words: "plain words", phrases: [], excluded: [] }],
    ['an "exact phrase" here', { words: "an here exact phrase", phrases: ["exact phrase"], excluded: [] }],
    ['-no -"not this" yes', { words: "yes", phrases: [], excluded: ["no", "not this"] }],
    ["well-known --flag - x", { words: "well-known --flag - x", phrases: [], excluded: [] }],
    ['"unclosed words', { words: '"unclosed words', phrases: [], excluded: [] }],
    ["", { words: "", phrases: [], excluded: [] }],
  ])("%s", (query, parsed) => {
    expect(parseQuery(query)).toEqual(parsed);
  });
});

describe("a cursor", () => {
  test("leads back to its place, microseconds and all", () => {
    for (const created_at of ["2026-11-23T08:53:41.270349Z", "2026-11-23T08:53:41Z"]) {
      const place = { created_at, id: "01a2079c-6b15-7451-8cbc-14e3fbf2aac5" };
      expect(cursorFrom(cursorOf(place))).toEqual(place);
    }
  });
});

describe("grants", () => {
  test("one's own space comes first, and each once", () => {
    expect(grantsFrom(["org:a", "user:eve", "org:a", "user:ada"], "ada")).toEqual(["user:ada", "org:a"]);
  });
});

describe("the log", () => {
  test("is one line an entry, whatever it is told, and keeps its level", () => {
    const lines: string[] = [];
    const log = createLog("warn", (line) => void lines.push(line));
    log("info", "left out");
    log("warn", "a\nb\u001b[31m\u009b\u2028", { route: "x\r\ny" });
    expect(lines.length).toBe(1);
    expect(lines[0]).toMatch(/^[\u0020-\u007e]+\n$/);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ message: "a\nb\u001b[31m\u009b\u2028", route: "x\r\ny" });
  });

  test("shortens long names", () => {
    expect([shortened("ada"), shortened("somebody-with-a-long-name")]).toEqual(["ada", "somebody…"]);
  });
});

describe("tool schemas", () => {
  /** Every schema within a schema. */
  function* within(schema: Record<string, unknown>, path = ""): Generator<[string, Record<string, unknown>]> {
    yield [path, schema];
    for (const key of ["properties", "patternProperties"])
      for (const [name, inner] of Object.entries((schema[key] ?? {}) as Record<string, never>))
        yield* within(inner, `${path}.${name}`);
    for (const inner of [schema.items, ...((schema.anyOf as never[]) ?? [])].flat())
      if (inner) yield* within(inner as Record<string, unknown>, `${path}[]`);
  }

  const KNOWN = new Set(
    (
      "type properties required additionalProperties patternProperties items anyOf enum const description title format " +
      "pattern minLength maxLength minItems maxItems minProperties maxProperties minimum maximum multipleOf"
    ).split(" "),
  );

  const shaped = ({ input, listed }: (typeof TOOLS)[number]) =>
    JSON.parse(JSON.stringify({ input, ...listed })) as Record<"input" | "inputSchema" | "outputSchema", never>;

  test.each(TOOLS.map((tool) => [tool.name, tool] as const))(
    "%s takes plain JSON Schema, all objects of it closed, and lists the same fields",
    (_name, tool) => {
      const { input, inputSchema } = shaped(tool);
      for (const [path, schema] of within(input)) {
        expect([path, Object.keys(schema).filter((key) => !KNOWN.has(key))]).toEqual([path, []]);
        if (schema.type === "object" && !path.endsWith("metadata"))
          expect([path, schema.additionalProperties]).toEqual([path, false]);
        expect(schema.default).toBeUndefined();
      }
      const named = (schema: Record<string, unknown>) =>
        [...within(schema)]
          .map(([path]) => path.replaceAll("[]", ""))
          .filter((path) => !/\.(tags|code_refs)\./.test(path));
      expect(new Set(named(inputSchema))).toEqual(new Set(named(input)));
    },
  );

  test.each(TOOLS.map((tool) => [tool.name, tool] as const))(
    "%s lists portable schemas: everything typed, lists with items, closed where there are fields",
    (_name, tool) => {
      const { inputSchema, outputSchema } = shaped(tool);
      for (const [path, schema] of [...within(inputSchema), ...within(outputSchema)]) {
        expect([path, typeof (schema.type ?? schema.anyOf)]).toEqual([path, schema.type ? "string" : "object"]);
        expect([path, "items" in schema]).toEqual([path, schema.type === "array"]);
        expect(schema).not.toHaveProperty("patternProperties");
      }
      for (const [path, schema] of within(inputSchema))
        if (schema.properties) expect([path, schema.additionalProperties]).toEqual([path, false]);
        else if (schema.type === "object") expect(path).toMatch(/\.(tags|metadata|code_refs\[\])$/);
    },
  );
});
