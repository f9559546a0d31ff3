import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Validator } from "@seriousme/openapi-schema-validator";
import { ROUTE_NEEDS } from "../../src/auth/scopes.ts";
import { PROBLEM_CODES, Problem } from "../../src/problem.ts";
import { temporaryFolder } from "../support/folder.ts";
import { compile, makeClientTypes } from "../support/typed_client.ts";
import { ada, openWorld, tokenFor, type World } from "../support/world.ts";

// biome-ignore lint/suspicious/noExplicitAny: a document of every shape
type Json = any;

let world: World;
let document: Json;
beforeAll(async () => {
  world = await openWorld();
  document = (await world.raw("/openapi.json")).body;
});
afterAll(() => world.close());

const operations = (): [name: string, operation: Json][] =>
  Object.entries<Json>(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, Json] => [
      `${method.toUpperCase()} ${path}`,
      operation,
    ]),
  );

test("the document is valid, by a standard validator", async () => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(document);
  expect({ valid, errors, version: validator.version }).toEqual({
    valid: true,
    errors: undefined,
    version: "3.1",
  } as never);
});

test("it is made once", async () => {
  const [one, other] = await Promise.all(
    [1, 2].map(() => world.app.handle(new Request("http://localhost/openapi.json"))),
  );
  expect(await one?.text()).toBe((await other?.text()) ?? "");
});

test("no reference leads nowhere, and every component is referred to", () => {
  const text = JSON.stringify(document);
  const references = new Set([...text.matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path = ""]) => path));
  const components = Object.entries<Json>(document.components)
    .filter(([kind]) => kind !== "securitySchemes")
    .flatMap(([kind, named]) => Object.keys(named).map((name) => `components/${kind}/${name}`));
  expect([...references].filter((path) => !components.includes(path))).toEqual([]);
  expect(components.filter((path) => !references.has(path))).toEqual([]);
});

test("every operation has its names, its security, its parameters and its answers", () => {
  const ids = operations().map(([, { operationId }]) => operationId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const [name, operation] of operations()) {
    const { summary, tags, security, parameters, responses } = operation;
    const needs = ROUTE_NEEDS[name.replace(/\{(\w+)\}/g, ":$1")];
    expect([name, typeof summary, tags?.length, security.length]).toEqual([
      name,
      "string",
      1,
      needs === "public" ? 0 : 1,
    ]);
    const in_path = [...name.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
    const told = parameters
      .filter((parameter: Json) => parameter.in === "path")
      .map((parameter: Json) => parameter.name);
    expect([name, told.sort()]).toEqual([name, in_path.sort()] as never);
    expect([name, Object.keys(responses).some((status) => status.startsWith("2"))]).toEqual([name, true]);
    for (const [status, response] of Object.entries<Json>(responses))
      if (status.startsWith("2") && status !== "204" && status !== "202")
        expect([name, status, response.content]).not.toEqual([name, status, undefined]);
    const problems = ["429", "431", "500", "503", ...(needs === "public" ? [] : ["401", "403"])];
    expect([name, problems.filter((status) => !responses[status])]).toEqual([name, []]);
    if (Array.isArray(needs)) for (const scope of needs) expect(operation.description).toContain(scope);
  }
});

test("each status of a problem tells its codes, and there is none without a code", () => {
  for (const code of PROBLEM_CODES) {
    const { description } = document.components.responses[`Problem${new Problem(code, "").status}`] ?? {};
    if (code !== "CLIENT_GONE" && code !== "METHOD_NOT_ALLOWED")
      expect([code, description?.includes(code)]).toEqual([code, true]);
  }
  expect(document.components.schemas.Problem.properties.code.enum).toEqual(PROBLEM_CODES);
});

test("files are told of: the form that takes one, the archive that is one", () => {
  const { requestBody } = document.paths["/api/v1/backup/import"].post;
  expect(requestBody).toEqual({
    required: true,
    content: {
      "multipart/form-data": {
        schema: {
          type: "object",
          required: ["file"],
          properties: { file: { type: "string", format: "binary", description: expect.any(String) } },
          additionalProperties: false,
        },
      },
    },
  });
  const { responses } = document.paths["/api/v1/backup/export"].post;
  expect(responses["200"].content).toEqual({ "application/zip": { schema: { type: "string", format: "binary" } } });
});

test("what reads the headers of a write says so, and nothing else does", () => {
  for (const feature of ["memories", "graph"]) {
    const source = readFileSync(join(import.meta.dir, `../../src/${feature}/routes.ts`), "utf8");
    const reading = source.match(/writeOptions\(request\)/g)?.length ?? 0;
    const saying = operations().filter(
      ([name, { parameters }]) =>
        name.includes(`/api/v1/${feature}`) && JSON.stringify(parameters).includes("IdempotencyKey"),
    );
    expect([feature, saying.length]).toEqual([feature, reading]);
  }
});

test("the example of docs/api.md makes a client, compiles and runs", async () => {
  using folder = temporaryFolder();
  const page = readFileSync(join(import.meta.dir, "../../docs/api.md"), "utf8");
  const [, example = ""] = /```ts\n([\s\S]+?)```/.exec(page) ?? [];
  expect(await makeClientTypes(folder.path, JSON.stringify(document))).toMatchObject({ code: 0 });
  writeFileSync(join(folder.path, "example.ts"), example);
  expect(await compile(folder.path)).toEqual({ code: 0, said: "" });
  // What does not fit is noticed by the compiler: the types are not just any.
  writeFileSync(
    join(folder.path, "wrong.ts"),
    example.replace('category: "decision", entities', 'category: "gossip", entities'),
  );
  const wrong = await compile(folder.path);
  expect([wrong.code === 0, wrong.said]).toEqual([false, expect.stringContaining("gossip")]);

  const server = Bun.serve({ port: 0, fetch: (request) => world.app.handle(request) });
  const { decide } = await import(join(folder.path, "example.ts"));
  expect(await decide(server.url.origin, await tokenFor(ada), "We generate clients.", "OpenAPI")).toMatchObject({
    content: "We generate clients.",
    entities: ["OpenAPI"],
  });
  await server.stop(true);
}, 60_000);
