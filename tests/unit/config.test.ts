import { expect, test } from "bun:test";
import { ConfigError, loadConfig } from "../../src/config.ts";
import { trustedProxies } from "../../src/http/client_address.ts";

test("an empty environment gives the embedded mode on loopback", () => {
  expect(loadConfig({})).toEqual({
    host: "127.0.0.1",
    port: 8765,
    database_url: undefined,
    database_prepare: true,
    listen_database_url: undefined,
    owner_database_url: undefined,
    root_database_url: undefined,
    data_dir: `${process.cwd()}/.brain`,
    jwt_secret: undefined,
    jwt_previous_secrets: [],
    jwt_public_keys: [],
    cors_allowed_origins: [],
    trusted_proxies: trustedProxies(),
    rate_limit_rpm: 600,
    rate_limit_burst: 100,
    jwt_issuer: "https://codingbrain.local",
    jwt_audience: "https://api.codingbrain.local",
    jwt_max_lifetime_seconds: 31_536_000,
    mcp_session_idle_seconds: 1800,
    mcp_heartbeat_seconds: 15,
    embeddings: undefined,
    metrics_token: undefined,
    brain_token: undefined,
    leak_check_tokens: undefined,
    log_level: "info",
  });
});

test("what is set counts, and an empty variable is an absent one", () => {
  const env = {
    PORT: " 80 ",
    HOST: "::1",
    DATABASE_URL: "postgres://a:b@c/d",
    JWT_SECRET_KEY: "s".repeat(32),
    LOG_LEVEL: "",
  };
  expect(loadConfig(env)).toMatchObject({
    port: 80,
    host: "::1",
    database_url: "postgres://a:b@c/d",
    jwt_secret: "s".repeat(32),
    log_level: "info",
  });
});

test.each([
  ["PORT", { PORT: "65536" }],
  ["PORT", { PORT: "-1" }],
  ["PORT", { PORT: "80.5" }],
  ["PORT", { PORT: "0x50" }],
  ["DATABASE_URL", { DATABASE_URL: "mysql://x" }],
  ["DATABASE_URL", { DATABASE_URL: "postgres://:::" }],
  ["DATABASE_PREPARE", { DATABASE_PREPARE: "yes" }],
  ["OWNER_DATABASE_URL", { OWNER_DATABASE_URL: "localhost" }],
  ["JWT_SECRET_KEY", { JWT_SECRET_KEY: "short" }],
  ["JWT_SECRET_KEY", { DATABASE_URL: "postgres://a@b/c" }],
  ["JWT_PREVIOUS_SECRET_KEYS", { JWT_PREVIOUS_SECRET_KEYS: "short" }],
  ["JWT_PREVIOUS_SECRET_KEYS", { JWT_PREVIOUS_SECRET_KEYS: `${"s".repeat(32)},${"s".repeat(32)}` }],
  ["JWT_PREVIOUS_SECRET_KEYS", { JWT_SECRET_KEY: "s".repeat(32), JWT_PREVIOUS_SECRET_KEYS: "s".repeat(32) }],
  ["JWT_PUBLIC_KEYS", { JWT_PUBLIC_KEYS: "{" }],
  ["JWT_PUBLIC_KEYS", { JWT_PUBLIC_KEYS: "no/such/file" }],
  ["CORS_ALLOWED_ORIGINS", { CORS_ALLOWED_ORIGINS: "*" }],
  ["CORS_ALLOWED_ORIGINS", { CORS_ALLOWED_ORIGINS: "brain.example.com" }],
  ["TRUSTED_PROXIES", { TRUSTED_PROXIES: "10.0.0.0/33" }],
  ["TRUSTED_PROXIES", { TRUSTED_PROXIES: "proxy.example.com" }],
  ["RATE_LIMIT_RPM", { RATE_LIMIT_RPM: "0" }],
  ["RATE_LIMIT_BURST", { RATE_LIMIT_BURST: "none" }],
  ["JWT_MAX_LIFETIME_SECONDS", { JWT_MAX_LIFETIME_SECONDS: "0" }],
  ["METRICS_TOKEN", { METRICS_TOKEN: "short" }],
  ["METRICS_TOKEN", { METRICS_TOKEN: "sixteen and a blank" }],
  ["LOG_LEVEL", { LOG_LEVEL: "loud" }],
])("a bad %s is named, and not repeated: %j", (name, env: Record<string, string>) => {
  let message = "";
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) ({ message } = error);
  }
  expect(message).toStartWith(name);
  expect(message).not.toContain("short");
});
