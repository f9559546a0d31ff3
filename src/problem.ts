import type { ParseError, TSchema, ValidationError } from "elysia";
import type postgres from "postgres";

/** Every failure a caller can see: its HTTP status and its short name. `docs/errors.md` lists the same codes. */
const CATALOGUE = {
  MISSING_AUTH: [401, "Authentication required"],
  EMPTY_TOKEN: [401, "Empty token"],
  INVALID_AUTH_FORMAT: [401, "Unusable Authorization header"],
  INVALID_TOKEN: [401, "Invalid token"],
  TOKEN_EXPIRED: [401, "Token expired"],
  INVALID_CLAIMS: [401, "Invalid claims"],
  INVALID_IAT: [401, "Token issued in the future"],
  TOKEN_REVOKED: [401, "Token revoked"],
  INSUFFICIENT_SCOPE: [403, "Missing scope"],
  FORBIDDEN_ACCESS_ENTITY: [403, "Space not granted"],
  APP_PAUSED: [403, "App paused"],
  SESSION_BINDING_INVALID: [403, "Session not yours"],
  FORBIDDEN_ORIGIN: [403, "Origin not allowed"],
  METHOD_NOT_ALLOWED: [405, "Method not allowed"],
  NOT_ACCEPTABLE: [406, "Not acceptable"],
  UNSUPPORTED_MEDIA_TYPE: [415, "Unsupported media type"],
  NOT_FOUND: [404, "Not found"],
  MALFORMED: [400, "Malformed request"],
  MISSING_SESSION_ID: [400, "Session id missing"],
  INVALID_SESSION_ID: [400, "Session id unreadable"],
  ACCESS_ENTITY_AMBIGUOUS: [400, "Space ambiguous"],
  CONFLICT: [409, "Conflict"],
  STALE_REVISION: [409, "Changed meanwhile"],
  TOO_LARGE: [413, "Too large"],
  INVALID_INPUT: [422, "Invalid input"],
  HEADERS_TOO_LARGE: [431, "Headers too large"],
  RATE_LIMITED: [429, "Too many requests"],
  CLIENT_GONE: [499, "Client gone"],
  INTERNAL: [500, "Internal error"],
  UNAVAILABLE: [503, "Unavailable"],
} as const satisfies Record<string, readonly [status: number, title: string]>;

export type ProblemCode = keyof typeof CATALOGUE;
export const PROBLEM_CODES = Object.keys(CATALOGUE) as ProblemCode[];

/** One thing wrong with an input: where (`memories.3.content`) and what, in our words, never the value itself. */
export interface FieldError {
  at: string;
  message: string;
}

interface ProblemExtras {
  /** What to do next, for a person or a model. */
  hint?: string;
  errors?: FieldError[];
  options?: string[];
  headers?: Record<string, string>;
  /** Logged, never printed. */
  cause?: unknown;
}

/** A failure as the caller sees it (RFC 9457). Thrown from anywhere, printed in two places: HTTP and MCP. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly status: number;
  readonly title: string;
  readonly extras: ProblemExtras;

  constructor(
    readonly code: ProblemCode,
    readonly detail: string,
    extras: ProblemExtras = {},
  ) {
    super(`${code}: ${detail}`, { cause: extras.cause });
    [this.status, this.title] = CATALOGUE[code];
    this.extras = extras;
  }

  /** The body both doors print. */
  toBody(request_id: string) {
    const { errors, options, hint } = this.extras;
    return {
      type: `urn:coding-brain:problem:${this.code.toLowerCase().replaceAll("_", "-")}`,
      title: this.title,
      status: this.status,
      code: this.code,
      detail: this.detail,
      request_id,
      ...(errors && { errors }),
      ...(options && { options }),
      ...(hint && { hint }),
    };
  }
}

export type ProblemBody = ReturnType<Problem["toBody"]>;

/** Refusals that go into the org's audit: of what a verified token asked for and may not have. */
export const AUDITED: ReadonlySet<ProblemCode> = new Set<ProblemCode>([
  "TOKEN_REVOKED",
  "INSUFFICIENT_SCOPE",
  "FORBIDDEN_ACCESS_ENTITY",
  "APP_PAUSED",
  "SESSION_BINDING_INVALID",
]);

/** Absent, deleted or not the caller's to see: nobody can tell which. */
export const notFound = (what: string) => new Problem("NOT_FOUND", `There is no such ${what}.`);

/** Readable, and does not fit; each place once. */
export const invalidInput = (errors: FieldError[], cause?: unknown) =>
  new Problem("INVALID_INPUT", "The input does not fit.", { errors, cause });

/** Not readable at all. */
export const malformed = (detail: string, cause?: unknown) => new Problem("MALFORMED", detail, { cause });

/** A body over the limit. */
export const tooLarge = (detail: string) => new Problem("TOO_LARGE", detail);

/** No token. */
export const missingAuth = () => new Problem("MISSING_AUTH", "Send a token: Authorization: Bearer <token>.");

/** A token on the denylist. */
export const tokenRevoked = (cause?: unknown) =>
  new Problem("TOKEN_REVOKED", "This token has been revoked.", { cause });

/** A token without these scopes. */
export const insufficientScope = (scopes: readonly string[]) =>
  new Problem("INSUFFICIENT_SCOPE", `This needs a token with the scope ${scopes.join(" and ")}.`, {
    hint: "Ask for a token with that scope; `GET /api/v1/tokens/me` and the tool `whoami` show the present ones.",
  });

/** Asked to write into a space the token does not open. */
export const spaceNotGranted = () =>
  new Problem("FORBIDDEN_ACCESS_ENTITY", "The token does not grant that space.", {
    hint: "Leave out access_entity to write to your own space; `whoami` lists the granted ones.",
  });

/** Try again in a second; the sentence says whether something may have been written. */
export const unavailable = (detail: string, cause?: unknown) =>
  new Problem("UNAVAILABLE", detail, { headers: { "retry-after": "1" }, cause });

/** Nobody is there to read it; for the log. */
export const clientGone = () => new Problem("CLIENT_GONE", "The client went away before its answer.");

/** Whether a write that was under way has been kept is not known then, and is not claimed. */
export const connectionLost = (cause: unknown) =>
  unavailable("The connection to the database was lost; look before you repeat a write.", cause);

/** Our fault; the cause goes to the log alone. */
export const internal = (cause: unknown) =>
  new Problem("INTERNAL", "Something went wrong on our side. The request id finds it in the log.", { cause });

/** What the database's own checks mean to a caller, by constraint name. */
const CONSTRAINTS: Record<string, FieldError> = {
  memories_content_check: { at: "content", message: "must have 1 to 65536 bytes of UTF-8 after trimming" },
  memories_tags_check: { at: "tags", message: "must have at most 16384 bytes as JSON" },
  memories_metadata_check: { at: "metadata", message: "must have at most 16384 bytes as JSON" },
};

/** SQLSTATEs our own functions in `sql/` raise. */
const TOKEN_REVOKED = "BRN01";
const SPACE_NOT_GRANTED = "BRN02";
const NO_SUCH_MEMORY = "BRN03";
const SUPERSEDED_NOT_OLDER = "BRN04";
const APP_PAUSED = "BRN05";

// Known by their marks and not by their classes: commands that need neither the framework nor the driver load neither.
const isCoded = (error: unknown, code: string) => error instanceof Error && "code" in error && error.code === code;
const isValidation = (error: unknown): error is ValidationError => isCoded(error, "VALIDATION");
const isParse = (error: unknown): error is ParseError => isCoded(error, "PARSE");
const isPostgres = (error: unknown): error is postgres.PostgresError =>
  error instanceof Error && error.name === "PostgresError";

/** Turns anything thrown into a Problem. The only place that knows SQLSTATEs and the framework's error classes. */
export function problemFrom(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof Error && error.cause instanceof Problem) return error.cause;
  if (isValidation(error)) return fromValidation(error);
  if (isParse(error)) return malformed("The request body is not readable.", error);
  if (isPostgres(error)) return fromDatabase(error);
  return internal(error);
}

function fromValidation(error: ValidationError): Problem {
  // An answer of ours that breaks its own schema is our bug, not the caller's.
  if (error.type === "response") return internal(error);
  return invalidInput(fieldErrors(error.all as Iterable<SchemaError>), error);
}

const MAX_ERRORS = 20;

/** One error of TypeBox, as far as we tell it. Its `value` is what the caller sent and stays out of every answer. */
export interface SchemaError {
  path: string;
  message: string;
  schema: TSchema;
}

/** Where and what, each place once, in our words; at most 20. */
export function fieldErrors(found: Iterable<SchemaError>): FieldError[] {
  const errors = new Map<string, FieldError>();
  for (const { path, message, schema } of found) {
    const at = path.slice(1).replaceAll("/", ".").slice(0, 256);
    if (!errors.has(at)) errors.set(at, { at, message: wordsFor(message, schema) });
    if (errors.size === MAX_ERRORS) break;
  }
  return [...errors.values()];
}

function wordsFor(message: string, schema: TSchema): string {
  if (message === "Expected required property") return "is required";
  if (message === "Unexpected property") return "is not known here";
  if (schema.told?.minimum !== undefined)
    return `must be a ${schema.told.type === "integer" ? "whole number" : "number"} from ${schema.told.minimum} to ${schema.told.maximum}`;
  const words = [schema, ...(schema.anyOf ?? [])].find((one) => Array.isArray(one.enum));
  if (words) return `must be one of ${words.enum.join(", ")}`;
  if (schema.pattern) return "does not have the form this needs";
  return message.charAt(0).toLowerCase() + message.slice(1);
}

/** Whether the database refused a write for this constraint or unique index. */
export const violates = (error: unknown, constraint: string) =>
  isPostgres(error) && error.constraint_name === constraint;

/**
 * What may be told of an error whose own message quotes values: PostgreSQL's about data (SQLSTATE classes 22 and 23),
 * the framework's about what does not fit. Undefined for any other error.
 */
export function toldWithoutValues(error: unknown): string | undefined {
  if (isPostgres(error) && /^2[23]/.test(error.code))
    return ["PostgresError", error.code, error.constraint_name].filter(Boolean).join(" ");
  if (isValidation(error))
    return `ValidationError: ${fieldErrors(error.all as Iterable<SchemaError>).map(({ at }) => at)}`;
  return undefined;
}

function fromDatabase(error: postgres.PostgresError): Problem {
  const { code, constraint_name } = error;
  if (code === TOKEN_REVOKED) return tokenRevoked(error);
  if (code === SPACE_NOT_GRANTED) return spaceNotGranted();
  if (code === APP_PAUSED)
    return new Problem("APP_PAUSED", "You have paused this app.", {
      hint: "`PUT /api/v1/apps/{id}` with is_active true lets it write again.",
      cause: error,
    });
  if (code === NO_SUCH_MEMORY) return new Problem("NOT_FOUND", "There is no such memory.", { cause: error });
  if (code === SUPERSEDED_NOT_OLDER)
    return invalidInput([{ at: "supersedes", message: "must be an older memory" }], error);
  if (code === "23514" && constraint_name && CONSTRAINTS[constraint_name])
    return invalidInput([CONSTRAINTS[constraint_name]], error);
  if (code === "23505") return new Problem("CONFLICT", "That already exists.", { cause: error });
  if (code === "54000" || code.startsWith("22"))
    return invalidInput([{ at: "", message: "holds a value the database cannot store" }], error);
  if (/^(57014|55P03|25P03|25P04)$/.test(code))
    return unavailable("The database took too long; nothing was changed.", error);
  if (code.startsWith("40")) return unavailable("Another write got in the way; nothing was changed.", error);
  // No such schema, table or function: ours are made by migrations.
  if (/^(3F000|42P01|42883)$/.test(code))
    return unavailable("The database lacks migrations of this release; run `brain migrate`.", error);
  // 53 out of disk, memory or connections
  if (code.startsWith("53")) return unavailable("The database has no room left; nothing was changed.", error);
  // 08 connection, 57P shutting down, perhaps in the middle of a commit
  if (/^(08|57P)/.test(code)) return connectionLost(error);
  return internal(error);
}
