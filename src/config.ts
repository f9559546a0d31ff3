import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { type PublicKey, publicKeysFrom } from "./auth/keys.ts";
import type { EmbeddingSettings } from "./embeddings/provider.ts";
import { type TrustedProxies, trustedProxies } from "./http/client_address.ts";
import { originsFrom } from "./http/origins.ts";

/** What the environment says, checked once. The only file that reads settings from it. */
export interface Config {
  readonly host: string;
  readonly port: number;
  /** The service's connection; absent means the embedded server. */
  readonly database_url: string | undefined;
  /** False for a pooler in transaction mode. */
  readonly database_prepare: boolean;
  /** Where LISTEN works, if not at database_url: past a pooler in transaction mode. The same role. */
  readonly listen_database_url: string | undefined;
  /** The migrating owner's connection; absent means the embedded server's. */
  readonly owner_database_url: string | undefined;
  /** An administrator's connection, for `brain migrate --create` and `brain leak-check` alone. */
  readonly root_database_url: string | undefined;
  /** Absolute path of the embedded data and the generated secrets. */
  readonly data_dir: string;
  /** Absent in embedded mode until the generated one is read. */
  readonly jwt_secret: string | undefined;
  /** Secrets of before; they verify and no longer sign. */
  readonly jwt_previous_secrets: readonly string[];
  /** Of others who issue tokens. */
  readonly jwt_public_keys: readonly PublicKey[];
  readonly jwt_issuer: string;
  readonly jwt_audience: string;
  readonly jwt_max_lifetime_seconds: number;
  /** Web origins whose pages may call. */
  readonly cors_allowed_origins: readonly string[];
  /** Whose X-Forwarded-For counts. */
  readonly trusted_proxies: TrustedProxies;
  /** Requests a minute in the long run, and at once: of a user, and of an address that has not signed in. */
  readonly rate_limit_rpm: number;
  readonly rate_limit_burst: number;
  /** How long a legacy MCP session may live without a sign of its stream. */
  readonly mcp_session_idle_seconds: number;
  /** Between two comment lines on a silent legacy stream. */
  readonly mcp_heartbeat_seconds: number;
  /** Where vectors come from; absent means that search goes by words and links alone. */
  readonly embeddings: EmbeddingSettings | undefined;
  /** Lets others than this machine read /metrics. */
  readonly metrics_token: string | undefined;
  /** Of two users who share nothing, for `brain leak-check --url` alone. */
  readonly leak_check_tokens: readonly [string, string] | undefined;
  /** Whose memories `brain export` and `brain import` are about. */
  readonly brain_token: string | undefined;
  readonly log_level: LogLevel;
}

export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** A variable with a value that cannot be used. The message names the variable and never repeats a secret. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** Reads the environment. Throws ConfigError for the first unusable variable. An empty variable counts as absent. */
export function loadConfig(env: Record<string, string | undefined> = process.env): Config {
  const text = (name: string) => env[name]?.trim() || undefined;

  const integer = (name: string, fallback: number, min: number, max: number) => {
    const value = text(name);
    if (value === undefined) return fallback;
    if (!/^\d+$/.test(value) || Number(value) < min || Number(value) > max)
      throw new ConfigError(`${name} must be a whole number from ${min} to ${max}.`);
    return Number(value);
  };

  const yesNo = (name: string, fallback: boolean) => {
    const value = text(name);
    if (value !== undefined && value !== "true" && value !== "false")
      throw new ConfigError(`${name} must be true or false.`);
    return value === undefined ? fallback : value === "true";
  };

  const postgresUrl = (name: string) => {
    const value = text(name);
    if (value === undefined) return undefined;
    if (!/^postgres(ql)?:\/\//.test(value) || !URL.canParse(value))
      throw new ConfigError(`${name} must be a URL like postgres://user:password@host:5432/database.`);
    return value;
  };

  const secret = text("JWT_SECRET_KEY");
  if (secret !== undefined && secret.length < 32)
    throw new ConfigError("JWT_SECRET_KEY must have at least 32 characters.");

  const previous_secrets =
    text("JWT_PREVIOUS_SECRET_KEYS")
      ?.split(",")
      .map((part) => part.trim()) ?? [];
  if (
    previous_secrets.some((part) => part.length < 32) ||
    new Set([secret, ...previous_secrets]).size <= previous_secrets.length
  )
    throw new ConfigError(
      "JWT_PREVIOUS_SECRET_KEYS must be secrets of at least 32 characters, separated by commas, each once and none the present one.",
    );

  /** What a reader makes of a variable; it throws an Error that says what the variable must be. */
  const read = <T>(name: string, reader: (value: string) => T): T | undefined => {
    const value = text(name);
    if (value === undefined) return undefined;
    try {
      return reader(value);
    } catch (error) {
      throw new ConfigError(`${name} ${error instanceof Error ? error.message : error}.`);
    }
  };

  const database_url = postgresUrl("DATABASE_URL");
  if (database_url !== undefined && secret === undefined)
    throw new ConfigError("JWT_SECRET_KEY is required where DATABASE_URL is set.");

  const log_level = text("LOG_LEVEL") ?? "info";
  if (!LOG_LEVELS.some((level) => level === log_level))
    throw new ConfigError(`LOG_LEVEL must be one of ${LOG_LEVELS.join(", ")}.`);

  return Object.freeze({
    host: text("HOST") ?? "127.0.0.1",
    port: integer("PORT", 8765, 0, 65535),
    database_url,
    database_prepare: yesNo("DATABASE_PREPARE", true),
    listen_database_url: postgresUrl("LISTEN_DATABASE_URL"),
    owner_database_url: postgresUrl("OWNER_DATABASE_URL"),
    root_database_url: postgresUrl("ROOT_DATABASE_URL"),
    data_dir: resolve(text("BRAIN_DATA_DIR") ?? ".brain"),
    jwt_secret: secret,
    jwt_previous_secrets: previous_secrets,
    jwt_public_keys: read("JWT_PUBLIC_KEYS", (value) => publicKeysFrom(jsonOrFile(value))) ?? [],
    jwt_issuer: text("JWT_ISSUER") ?? "https://codingbrain.local",
    jwt_audience: text("JWT_AUDIENCE") ?? "https://api.codingbrain.local",
    jwt_max_lifetime_seconds: integer("JWT_MAX_LIFETIME_SECONDS", 31_536_000, 60, 315_360_000),
    cors_allowed_origins: read("CORS_ALLOWED_ORIGINS", originsFrom) ?? [],
    trusted_proxies: read("TRUSTED_PROXIES", trustedProxies) ?? trustedProxies(),
    rate_limit_rpm: integer("RATE_LIMIT_RPM", 600, 1, 10_000_000),
    rate_limit_burst: integer("RATE_LIMIT_BURST", 100, 1, 10_000_000),
    mcp_session_idle_seconds: integer("MCP_SESSION_IDLE_SECONDS", 1800, 3, 86_400),
    mcp_heartbeat_seconds: integer("MCP_HEARTBEAT_SECONDS", 15, 1, 60),
    embeddings: embeddingsFrom(text("EMBEDDINGS_URL"), text("EMBEDDINGS_MODEL"), text("EMBEDDINGS_API_KEY")),
    metrics_token: read("METRICS_TOKEN", metricsToken),
    brain_token: text("BRAIN_TOKEN"),
    leak_check_tokens: read("LEAK_CHECK_TOKENS", twoTokens),
    log_level: log_level as LogLevel,
  });
}

/** Throws ConfigError where only a part of them is given. */
function embeddingsFrom(
  url: string | undefined,
  model: string | undefined,
  api_key: string | undefined,
): EmbeddingSettings | undefined {
  if (url === undefined && model === undefined && api_key === undefined) return undefined;
  if (url === undefined || !/^https?:\/\//.test(url) || !URL.canParse(url))
    throw new ConfigError("EMBEDDINGS_URL must be a URL like https://api.openai.com/v1.");
  if (model === undefined || model.length > 256)
    throw new ConfigError("EMBEDDINGS_MODEL must name a model, in up to 256 characters, where EMBEDDINGS_URL is set.");
  return { url, model, api_key };
}

function metricsToken(value: string): string {
  if (!/^[\x21-\x7e]{16,}$/.test(value)) throw new Error("must have at least 16 visible ASCII characters");
  return value;
}

function twoTokens(value: string): readonly [string, string] {
  const [one, other, ...more] = value.split(/[\s,]+/);
  if (!one || !other || more.length > 0) throw new Error("must be two tokens, separated by a comma");
  return [one, other];
}

/** A key set as it stands, or the file that has it. */
function jsonOrFile(value: string): string {
  if (value.startsWith("{")) return value;
  try {
    return readFileSync(value, "utf8");
  } catch (error) {
    throw new Error(
      `names a file that cannot be read (${error instanceof Error && "code" in error ? error.code : "?"})`,
    );
  }
}
