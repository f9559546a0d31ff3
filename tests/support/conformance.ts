import { createServer, request } from "node:http";
import type { PromptMessage } from "@modelcontextprotocol/sdk/types.js";
import type { Offer } from "../../src/mcp/offer.ts";
import type { Prompt } from "../../src/mcp/prompt.ts";
import type { ResourceKind } from "../../src/mcp/resource.ts";
import type { Exchange, Tool } from "../../src/mcp/tool.ts";
import { notFound } from "../../src/problem.ts";

/**
 * What the official conformance suite (@modelcontextprotocol/conformance 0.2.0-alpha.12, requirements 2025-11-25) wants a
 * server to offer: names, texts and shapes are its own.
 */
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
const WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=";
type Content = Record<string, unknown>;
const text = (text: string) => ({ type: "text", text });
const image = { type: "image", data: PNG, mimeType: "image/png" };
const embedded = (uri: string, mimeType: string, text: string) => ({
  type: "resource",
  resource: { uri, mimeType, text },
});

const NOTHING = { type: "object", properties: {}, additionalProperties: false };
const words = (...names: string[]) => ({
  type: "object",
  properties: Object.fromEntries(names.map((name) => [name, { type: "string" }])),
  required: names,
  additionalProperties: false,
});

const tool = (
  name: string,
  run: (exchange: Exchange, args: Record<string, string>) => Content[] | Promise<Content[]>,
  inputSchema: object = NOTHING,
): Tool => ({
  name,
  needs: [],
  toolset: undefined,
  listed: { name, description: `Fixture of the conformance suite: ${name}.`, inputSchema },
  call: async (_caller, args, exchange) => ({ content: (await run(exchange, args as never)) as never }),
});

const elicit = (message: string, properties: object, required: string[] = []) => ({
  message,
  requestedSchema: { type: "object", properties, required },
});
const said = (of: string, { action, content }: Record<string, unknown>) => [
  text(`${of}: action=${action}, content=${JSON.stringify(content ?? {})}`),
];

const tools: Tool[] = [
  tool("test_simple_text", () => [text("This is a simple text response for testing.")]),
  tool("test_image_content", () => [image]),
  tool("test_audio_content", () => [{ type: "audio", data: WAV, mimeType: "audio/wav" }]),
  tool("test_embedded_resource", () => [
    embedded("test://embedded-resource", "text/plain", "This is an embedded resource content."),
  ]),
  tool("test_multiple_content_types", () => [
    text("Multiple content types test:"),
    image,
    embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
  ]),
  tool("test_error_handling", () => {
    throw new Error("This tool intentionally returns an error for testing");
  }),
  tool("test_tool_with_logging", async ({ tell }) => {
    for (const data of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
      await tell("notifications/message", { level: "info", data });
      await Bun.sleep(50);
    }
    return [text("Tool with logging executed successfully")];
  }),
  tool("test_tool_with_progress", async ({ tell, progress_token }) => {
    for (const progress of [0, 50, 100]) {
      if (progress_token !== undefined)
        await tell("notifications/progress", { progressToken: progress_token, progress, total: 100 });
      await Bun.sleep(50);
    }
    return [text("done")];
  }),
  tool(
    "test_sampling",
    async ({ ask }, { prompt }) => {
      const messages = [{ role: "user", content: text(prompt ?? "") }];
      const { content } = await ask("sampling/createMessage", { messages, maxTokens: 100 });
      return [text(`LLM response: ${(content as { text: string }).text}`)];
    },
    words("prompt"),
  ),
  tool(
    "test_elicitation",
    async ({ ask }, { message }) => {
      const properties = {
        username: { type: "string", description: "User's response" },
        email: { type: "string", description: "User's email address" },
      };
      return said(
        "User response",
        await ask("elicitation/create", elicit(message ?? "", properties, ["username", "email"])),
      );
    },
    words("message"),
  ),
  tool("test_elicitation_sep1034_defaults", async ({ ask }) =>
    said(
      "Elicitation completed",
      await ask(
        "elicitation/create",
        elicit("Please review and update the form fields with defaults", {
          name: { type: "string", default: "John Doe" },
          age: { type: "integer", default: 30 },
          score: { type: "number", default: 95.5 },
          status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
          verified: { type: "boolean", default: true },
        }),
      ),
    ),
  ),
  tool("test_elicitation_sep1330_enums", async ({ ask }) => {
    const titled = [1, 2, 3].map((n) => ({ const: `value${n}`, title: `Choice ${n}` }));
    const options = ["option1", "option2", "option3"];
    return said(
      "Elicitation completed",
      await ask(
        "elicitation/create",
        elicit("Please select options from the enum fields", {
          untitledSingle: { type: "string", enum: options },
          titledSingle: { type: "string", oneOf: titled },
          legacyEnum: { type: "string", enum: ["opt1", "opt2", "opt3"], enumNames: ["One", "Two", "Three"] },
          untitledMulti: { type: "array", minItems: 1, maxItems: 3, items: { type: "string", enum: options } },
          titledMulti: { type: "array", minItems: 1, maxItems: 3, items: { anyOf: titled } },
        }),
      ),
    );
  }),
];

const user = (content: Content) => ({ role: "user", content }) as PromptMessage;

const prompt = (
  name: string,
  args: string[],
  messages: (given: Record<string, string>) => PromptMessage[],
): Prompt => ({
  name,
  needs: [],
  description: `Fixture of the conformance suite: ${name}.`,
  listed: {
    name,
    description: `Fixture of the conformance suite: ${name}.`,
    arguments: args.map((argument) => ({ name: argument, description: `Argument ${argument}.`, required: true })),
  },
  get: async (_caller, given) => messages(given as Record<string, string>),
});

const prompts = [
  prompt("test_simple_prompt", [], () => [user(text("This is a simple prompt for testing."))]),
  prompt("test_prompt_with_arguments", ["arg1", "arg2"], ({ arg1, arg2 }) => [
    user(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)),
  ]),
  prompt("test_prompt_with_embedded_resource", ["resourceUri"], ({ resourceUri = "" }) => [
    user(embedded(resourceUri, "text/plain", "Embedded resource content for testing.")),
    user(text("Please process the embedded resource above.")),
  ]),
  prompt("test_prompt_with_image", [], () => [user(image), user(text("Please analyze the image above."))]),
];

const resources: ResourceKind = {
  needs: [],
  template: { uriTemplate: "test://template/{id}/data", name: "template", mimeType: "application/json" },
  has: (uri) => uri.startsWith("test://"),
  list: async () => ({
    resources: [
      { uri: "test://static-text", name: "static-text", description: "Text.", mimeType: "text/plain" },
      { uri: "test://static-binary", name: "static-binary", description: "Binary.", mimeType: "image/png" },
    ],
    next_cursor: null,
  }),
  async read(_caller, uri) {
    if (uri === "test://static-text")
      return [{ uri, mimeType: "text/plain", text: "This is the content of the static text resource." }];
    if (uri === "test://static-binary") return [{ uri, mimeType: "image/png", blob: PNG }];
    const [, id] = /^test:\/\/template\/([^/]+)\/data$/.exec(uri) ?? [];
    if (!id) throw notFound("resource");
    const data = { id, templateTest: true, data: `Data for ID: ${id}` };
    return [{ uri, mimeType: "application/json", text: JSON.stringify(data) }];
  },
};

export const FIXTURES: Offer = {
  tools,
  prompts,
  resources: [resources],
  completions: async () => ({ values: [], total: 0, hasMore: false }),
  capabilities: { resources: { subscribe: true } },
  methods: { "resources/subscribe": async () => ({}), "resources/unsubscribe": async () => ({}) },
};

/**
 * A proxy on loopback that adds the token the suite cannot send, and the session id without which it skips what several
 * requests do at once. Everything else goes through as it is, the client going away too. By node:http: fetch would not
 * let a foreign Host through, which one scenario sends.
 */
export async function proxyWithToken(target: string, token: string) {
  const { hostname, port } = new URL(target);
  const server = createServer((incoming, outgoing) => {
    const { method, url: path, headers } = incoming;
    const onward = request(
      { hostname, port, method, path, headers: { ...headers, authorization: `Bearer ${token}` } },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, { ...answer.headers, "mcp-session-id": "one-for-all" });
        outgoing.flushHeaders();
        answer.pipe(outgoing);
      },
    );
    onward.on("error", () => outgoing.destroy());
    outgoing.on("close", () => onward.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${address.port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
