import { t } from "elysia";
import fc, { type Arbitrary } from "fast-check";
import { ArchivedMemory } from "../../src/backup/archive_schema.ts";
import type { RegisteredRoute } from "../../src/http/openapi.ts";
import { PROTOCOL_VERSIONS } from "../../src/mcp/server.ts";
import type { DefinedTool } from "../../src/mcp/tool.ts";
import { oneOf } from "../../src/schema.ts";
import { fitting, type Hints, VALUE_MARK, word } from "./arbitrary.ts";
import { archiveOfLines } from "./archives.ts";
import { spoilt } from "./spoil.ts";

/** A request as it goes out, and what of it must not come back. */
export class Shot {
  constructor(
    readonly method: string,
    readonly path: string,
    readonly headers: Record<string, string> = {},
    readonly body?: Buffer<ArrayBuffer>,
    /** Values it was made of, however they are written. */
    readonly values: readonly unknown[] = [],
  ) {}

  /** As fast-check prints it. */
  [fc.toStringMethod]() {
    const headers = Object.entries(this.headers).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
    return [`${this.method} ${this.path}`, ...headers, this.body === undefined ? "" : `\n${this.body}`].join("\n");
  }
}

/** Requests as the schemas take them, or spoilt in one of their parts: one that is wrong all over ends at the first check. */
export type Shots = (is_spoilt: boolean) => Arbitrary<Shot>;

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const NOTHING = t.Object({}, { additionalProperties: false });
const AS_IT_IS = fc.constant((text: string) => Buffer.from(text));

/** Requests to a route. A kind that would go through here half fuzzed throws. */
export function shotsAt({ method, path, hooks }: RegisteredRoute, hints: Hints): Shots {
  const { headers, cookie, type, parse = [] } = hooks as Record<string, unknown> & { parse?: { fn: unknown }[] };
  const is_mcp = path.startsWith("/mcp");
  const reads_itself = !is_mcp && parse.some(({ fn }) => typeof fn === "string");
  if (!METHODS.includes(method) || path.includes("*") || headers || cookie || type || reads_itself)
    throw new Error(`the fuzz test does not know how to make requests to ${method} ${path}: teach it`);

  const names = [...path.matchAll(/:(\w+)/g)].map(([, name = ""]) => name);
  const params = hooks.params ?? t.Object(Object.fromEntries(names.map((name) => [name, t.String()])));
  const query = hooks.query ?? NOTHING;
  const is_upload = hooks.detail?.["x-upload"] !== undefined;
  const body = is_mcp && method !== "GET" ? Envelope : is_upload ? Lines : hooks.body;
  const own = body === Envelope ? {} : hints;
  const right = {
    params: fitting(params, hints),
    query: fitting(query, hints),
    pieces: fc.constant(""),
    headers: HEADERS,
    body: body ? fitting(body, own) : fc.constant(undefined),
    bytes: AS_IT_IS,
  };
  const wrong: Partial<Record<keyof typeof right, Arbitrary<unknown>>> = {
    ...(names.length > 0 && { params: spoilt(params, hints) }),
    query: spoilt(query, hints),
    pieces: PIECES,
    headers: spoiltHeaders(is_mcp ? READ.mcp : READ.api),
    // A route that takes no body may be sent one.
    ...(method !== "GET" && { body: body ? spoilt(body, own) : fitting(Junk), bytes: BYTES }),
  };
  const wrongs = Object.entries(wrong).map(([name, arbitrary]) => ({
    weight: { body: 6, headers: 3 }[name] ?? 1,
    arbitrary: fc.record({ ...right, [name]: arbitrary }),
  }));
  return (is_spoilt) =>
    (is_spoilt ? fc.oneof(...wrongs) : fc.record(right)).map(({ params, query, pieces, headers, body, bytes }) => {
      const asked = queryText(query) + pieces;
      const text: string | undefined = JSON.stringify(body);
      const type = is_upload ? `multipart/form-data; boundary=${BOUNDARY}` : "application/json";
      const sent = text === undefined ? undefined : is_upload ? uploaded(body, bytes) : bytes(text);
      return new Shot(
        method,
        pathText(path, params) + (asked && `?${asked}`),
        { ...(text !== undefined && { "content-type": type }), ...headers },
        sent,
        [params, query, Object.values(headers), body],
      );
    });
}

const BOUNDARY = "fuzz";

/** A form with an archive: of these lines, or with other bytes in one of them, or for the whole of it. */
function uploaded(lines: unknown, bytes: (text: string) => Buffer): Buffer<ArrayBuffer> {
  const texts = Array.isArray(lines) ? lines.map((line) => bytes(JSON.stringify(line) ?? "")) : [];
  const archive = Array.isArray(lines) ? archiveOfLines(texts) : bytes(JSON.stringify(lines) ?? "");
  const head = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), archive, Buffer.from(`\r\n--${BOUNDARY}--\r\n`)]);
}

const Lines = t.Array(ArchivedMemory, { maxItems: 10 });

const HEADERS: Arbitrary<Record<string, string>> = fc.oneof(
  fc.constant({}),
  fc.record({ "idempotency-key": fc.oneof(fc.constantFrom("key-one", "key-two"), word) }),
  fc.record({ "if-match": fc.constantFrom("*", '"1"', "1", '"2"', "999999999") }),
);

/** Headers that a route reads. */
const READ = { api: ["if-match", "idempotency-key"], mcp: ["mcp-protocol-version", "accept"] };

/** One header that is wrong, or is nobody's business. */
const spoiltHeaders = (likely: string[]): Arbitrary<Record<string, string>> =>
  word.chain((mark) => {
    const wrong = [
      mark,
      `"${mark}"`,
      `${mark}, ${mark}`,
      mark.repeat(30),
      `é${mark}`,
      `W/"1"`,
      "",
      "-1",
      '"9999999999"',
    ];
    const values: Record<string, string[]> = {
      "if-match": [...wrong, "1e3", '"1", "2"'],
      "idempotency-key": wrong,
      "mcp-protocol-version": [mark, ...PROTOCOL_VERSIONS],
      accept: [mark, "", "text/html", "text/event-stream", `application/json;q=${mark}`],
      "content-type": [
        mark,
        "text/plain",
        `multipart/form-data; boundary=${mark}`,
        `application/json; charset=${mark}`,
      ],
      "content-encoding": [mark, "gzip", "identity"],
      authorization: [mark, `Bearer ${mark}`, `Bearer ${mark}.${mark}.${mark}`, `Basic ${mark}`],
      "x-request-id": wrong,
      "x-forwarded-for": wrong,
      origin: [`http://${mark}.example`, "null"],
      host: [mark, `${mark}:99999`, ""],
      "user-agent": [`${mark} `.repeat(9).trim(), `!${mark}/1.0`],
    };
    return fc
      .oneof(fc.constantFrom(...likely), fc.constantFrom(...Object.keys(values)))
      .chain((name) => fc.constantFrom(...(values[name] ?? [])).map((value) => ({ [name]: value })));
  });

/** The body's bytes, other than JSON.stringify gives them. */
const BYTES: Arbitrary<(text: string) => Buffer<ArrayBuffer>> = fc.oneof(
  fc.nat({ max: 400 }).map((cut) => (text: string) => Buffer.from(text.slice(0, cut % (text.length + 1)))),
  fc.uint8Array({ maxLength: 64 }).map((bytes) => () => Buffer.from(bytes)),
  fc.constantFrom<((text: string) => Buffer<ArrayBuffer>)[]>(
    (text: string) => Buffer.from(text + text),
    (text: string) => Buffer.from(`\ufeff${text}`),
    (text: string) => Buffer.from(text, "utf16le"),
    (text: string) => Buffer.from(text.replaceAll(VALUE_MARK, `${VALUE_MARK}\xff`), "latin1"),
    (text: string) => Buffer.from(text.replaceAll(VALUE_MARK, `${VALUE_MARK}\0`)),
    (text: string) => Buffer.from("[".repeat(100_000) + text),
    (text: string) => Buffer.from(text + " ".repeat(1_048_577)),
  ),
  // Every name twice.
  fc.constant((text: string) => Buffer.from(/^\{.+\}$/s.test(text) ? `${text.slice(0, -1)},${text.slice(1)}` : text)),
);

/** Pieces of a query string that no value encodes to. */
const PIECES = fc.constantFrom(
  "&%",
  "&%00",
  "&a=%ff",
  "&%ed%a0%80=1",
  "&&=&",
  "&__proto__=1&__proto__=2",
  "&page=1&page=2",
);

/** Lone surrogates as the bytes they would be, which are no UTF-8. */
const percent = (text: string) =>
  [...text].map((one) => (one.isWellFormed() ? encodeURIComponent(one) : "%ed%a0%80")).join("");

const asText = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

function queryText(value: unknown): string {
  if (typeof value !== "object" || value === null) return `x=${percent(asText(value))}`;
  return Object.entries(value)
    .flatMap(([name, field]) => [field].flat().map((one) => `${percent(name)}=${percent(asText(one))}`))
    .join("&");
}

function pathText(path: string, params: unknown): string {
  const given = new Map(typeof params === "object" && params !== null ? Object.entries(params) : []);
  return path.replace(/:(\w+)/g, (_, name) => percent(asText(given.has(name) ? given.get(name) : params)));
}

const WholeNumber = t.Number({ multipleOf: 1 });
const open = { additionalProperties: true } as const;
const Junk = t.Object({}, open);
const RPC_METHODS = [
  "initialize",
  "ping",
  "tools/list",
  "tools/call",
  "notifications/cancelled",
  "notifications/initialized",
] as const;

/** JSON-RPC as MCP has it. */
const Message = t.Object(
  {
    jsonrpc: t.Literal("2.0"),
    id: t.Optional(t.Union([t.String(), WholeNumber])),
    method: t.Union([oneOf(RPC_METHODS), t.String()]),
    params: t.Optional(
      t.Object(
        {
          name: t.Optional(t.Union([oneOf(["list_memories", "search_memory", "whoami"]), t.String()])),
          arguments: t.Optional(Junk),
          protocolVersion: t.Optional(t.Union([oneOf(["2025-11-25", "2024-11-05"]), t.String()])),
          capabilities: t.Optional(Junk),
          clientInfo: t.Optional(t.Object({ name: t.String(), version: t.String() })),
          requestId: t.Optional(t.Union([t.String(), WholeNumber])),
          cursor: t.Optional(t.String()),
          _meta: t.Optional(Junk),
        },
        open,
      ),
    ),
    result: t.Optional(Junk),
  },
  open,
);
export const Envelope = t.Union([Message, Message, t.Array(Message, { maxItems: 20 })]);

/** Calls of a tool, one or (`most`) several in a batch, their arguments as they should be or spoilt. */
export function callsOf(
  tools: readonly DefinedTool[],
  hints: Hints,
  { path = "/mcp?toolsets=all", most = 1 } = {},
): Shots {
  const calls = (is_spoilt: boolean) =>
    fc.oneof(
      ...tools.map(({ name, input }) =>
        (is_spoilt ? spoilt : fitting)(input, hints).map((args) => ({ name, arguments: args })),
      ),
    );
  return (is_spoilt) =>
    fc.array(calls(is_spoilt), { minLength: 1, maxLength: most }).map((params) => {
      const messages = params.map((call, id) => ({ jsonrpc: "2.0", id, method: "tools/call", params: call }));
      const body = Buffer.from(JSON.stringify(most === 1 ? messages[0] : messages));
      return new Shot(
        "POST",
        path,
        { "content-type": "application/json" },
        body,
        params.map((call) => call.arguments),
      );
    });
}
