import type { Command } from "commander";
import { SCOPES_IN_USE } from "../auth/scopes.ts";
import { mintToken } from "../auth/tokens.ts";
import { type Config, ConfigError, loadConfig } from "../config.ts";
import { openEmbedded } from "../embedded/database.ts";
import { createLog } from "../log.ts";
import type { Service } from "../main.ts";
import { backupFor } from "../ops/before_migrating.ts";
import type { Place } from "../ops/databases.ts";
import { migrateDatabase } from "../ops/migrate.ts";
import { Refusal } from "../refusal.ts";
import { untilStopped } from "./signals.ts";

/** Adds `brain up` to the program. */
export function addUp(program: Command) {
  program
    .command("up")
    .description("start everything on this machine: the embedded PostgreSQL, its schema, the service")
    .addHelpText("after", "\nWith DATABASE_URL set nothing is embedded. Ctrl-C stops what was started.")
    .action(up);
}

async function up() {
  const { startService } = await import("../main.ts"); // only here, as in `serve`
  const config = loadConfig();
  const log = createLog(config.log_level);
  const stopped = untilStopped(); // from now on: a Ctrl-C while it starts must stop the database too

  if (config.owner_database_url && !config.database_url)
    throw new ConfigError(
      "OWNER_DATABASE_URL is set and DATABASE_URL is not; set both, or neither for the embedded database.",
    );
  if (config.database_url && config.jwt_secret) {
    const { owner_database_url: owner_url, root_database_url: root_url } = config;
    if (owner_url) await bringUp({ owner_url, root_url }, config);
    const service = await startService(config, config.database_url, config.jwt_secret, log);
    await greet(config, service, config.jwt_secret);
    await stopped;
    return service.stop();
  }

  const { server, database_url, owner_database_url, root_database_url } = await openEmbedded(
    config.data_dir,
    console.log,
  );
  if (!server.is_ours)
    throw new Refusal(
      "data_dir_held",
      `Coding Brain, or another brain command, already uses ${config.data_dir}; stop it, or set BRAIN_DATA_DIR to another folder.`,
    );
  try {
    await bringUp({ owner_url: owner_database_url, root_url: root_database_url }, config);
    server.keepRunning(log);
    const jwt_secret = config.jwt_secret ?? server.secrets.jwt_secret;
    const service = await startService(config, database_url, jwt_secret, log);
    await greet(config, service, jwt_secret);
    await stopped;
    await service.stop();
  } finally {
    await server.stop();
  }
}

/** Migrates, with a backup before it where there are rows and something to do. */
async function bringUp(place: Place, { data_dir }: Config) {
  const say = (line: string) => console.log(line);
  await migrateDatabase(place.owner_url, { backUp: backupFor(place, { data_dir, say }), say });
}

const TOKEN_DAYS = 365;

/** What one needs next: where it is, how an assistant connects, and one call that stores something. */
async function greet(config: Config, { url }: Service, jwt_secret: string) {
  const days = Math.min(TOKEN_DAYS, config.jwt_max_lifetime_seconds / 86_400); // not longer than the door would take
  const { token } = await mintToken(
    { ...config, jwt_secret },
    { org: "local", sub: "local", scopes: SCOPES_IN_USE, days },
  );
  const until = new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 16);
  const authorization = `Bearer ${token}`;
  const mcp = {
    mcpServers: { "coding-brain": { type: "http", url: `${url}/mcp`, headers: { Authorization: authorization } } },
  };
  console.log(`Coding Brain listens on ${url}

An MCP client connects with (the token is for the user local of the org local, valid until ${until}):

${JSON.stringify(mcp, null, 2)}

\`bun brain connect <client>\` writes that into the configuration of Claude Code, Cursor, VS Code and others.

Store a first memory:

curl -s ${url}/api/v1/memories -H 'Authorization: ${authorization}' -H 'Content-Type: application/json' -d '{"content": "We deploy on Thursdays.", "category": "convention"}'

Ctrl-C stops it.`);
}
