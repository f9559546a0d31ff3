import { join } from "node:path";

/** What a client is to connect to. */
export interface Connection {
  /** Of the service, without a trailing slash. */
  readonly url: string;
  readonly token: string;
  readonly transport: "http" | "sse";
  /** For `?toolsets=`. */
  readonly toolsets?: string | undefined;
}

/** The machine a client's files lie on. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** An MCP client, as far as its configuration goes. */
export interface ClientKind {
  readonly title: string;
  /** Its user's configuration; none for a client we do not know. */
  file?(machine: Machine): string;
  readonly format: "json" | "toml";
  /** The object in it that holds its servers by name. */
  readonly servers: string;
  /** What it wants to know of a server. */
  entry(connection: Connection, client: string): object;
  /** What to do so that it looks again. */
  readonly afterwards: string;
}

/** For a client that starts programs and calls no URLs: https://github.com/geelen/mcp-remote, and Node to run it. */
const BRIDGE = "mcp-remote@0.15.1";

/** The clients `brain connect` knows, as their makers document them (November 2026). */
export const CLIENTS: Readonly<Record<string, ClientKind>> = {
  "claude-code": {
    title: "Claude Code",
    file: ({ home, env }) => join(env.CLAUDE_CONFIG_DIR || home, ".claude.json"),
    format: "json",
    servers: "mcpServers",
    entry: typed,
    afterwards: "Start Claude Code anew; /mcp shows the connection.",
  },
  "claude-desktop": {
    title: "Claude Desktop",
    file: (machine) => join(settingsFolder(machine), "Claude", "claude_desktop_config.json"),
    format: "json",
    servers: "mcpServers",
    entry: bridged,
    afterwards: "Quit Claude Desktop and start it again. It needs Node.js, for the bridge it starts.",
  },
  cursor: {
    title: "Cursor",
    file: ({ home }) => join(home, ".cursor", "mcp.json"),
    format: "json",
    servers: "mcpServers",
    entry: (connection, client) => ({ url: addressOf(connection, client), headers: headersOf(connection) }),
    afterwards: "Switch it on in Cursor's settings under MCP.",
  },
  vscode: {
    title: "VS Code",
    file: (machine) => join(settingsFolder(machine), "Code", "User", "mcp.json"),
    format: "json",
    servers: "servers",
    entry: typed,
    afterwards: "Run `MCP: List Servers` in VS Code and start it there.",
  },
  codex: {
    title: "Codex",
    file: ({ home, env }) => join(env.CODEX_HOME || join(home, ".codex"), "config.toml"),
    format: "toml",
    servers: "mcp_servers",
    // It knows Streamable HTTP alone.
    entry: (connection, client) =>
      connection.transport === "sse"
        ? bridged(connection, client)
        : { url: addressOf(connection, client), http_headers: headersOf(connection) },
    afterwards: "Start Codex anew; /mcp shows the connection.",
  },
  windsurf: {
    title: "Windsurf",
    file: ({ home }) => join(home, ".codeium", "windsurf", "mcp_config.json"),
    format: "json",
    servers: "mcpServers",
    entry: (connection, client) => ({ serverUrl: addressOf(connection, client), headers: headersOf(connection) }),
    afterwards: "Refresh the list of MCP servers in Windsurf's Cascade.",
  },
  zed: {
    title: "Zed",
    file: (machine) => join(zedFolder(machine), "settings.json"),
    format: "json",
    servers: "context_servers",
    entry: (connection, client) =>
      connection.transport === "sse"
        ? bridged(connection, client)
        : { url: addressOf(connection, client), headers: headersOf(connection) },
    afterwards: "Zed connects by itself; its agent panel shows it.",
  },
  generic: {
    title: "any other client",
    format: "json",
    servers: "mcpServers",
    entry: typed,
    afterwards: "",
  },
};

function typed(connection: Connection, client: string) {
  return { type: connection.transport, url: addressOf(connection, client), headers: headersOf(connection) };
}

/** The token goes by the environment: arguments show in the list of processes, and blanks in them get lost on Windows. */
function bridged(connection: Connection, client: string) {
  const address = addressOf(connection, client);
  const { protocol, hostname } = new URL(address);
  const is_plain = protocol === "http:" && !/^(localhost|127\.|\[::1\])/.test(hostname);
  return {
    command: "npx",
    args: ["-y", BRIDGE, address, "--transport", `${connection.transport}-only`]
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the bridge puts the variable in
      .concat("--header", "Authorization:${AUTHORIZATION}", is_plain ? "--allow-http" : []),
    env: { AUTHORIZATION: headersOf(connection).Authorization },
  };
}

/** Where the client connects to; over SSE its name is in the path. */
function addressOf({ url, transport, toolsets }: Connection, client: string): string {
  const path = transport === "sse" ? `/mcp/${client}/sse/me` : "/mcp";
  return url + path + (toolsets ? `?toolsets=${toolsets}` : "");
}

const headersOf = ({ token }: Connection) => ({ Authorization: `Bearer ${token}` });

/** Where applications keep their users' settings. */
function settingsFolder({ platform, home, env }: Machine): string {
  if (platform === "darwin") return join(home, "Library", "Application Support");
  if (platform === "win32") return env.APPDATA || join(home, "AppData", "Roaming");
  return env.XDG_CONFIG_HOME || join(home, ".config");
}

/** Zed's is the one of Linux on macOS too. */
function zedFolder(machine: Machine): string {
  if (machine.platform === "darwin") return join(machine.home, ".config", "zed");
  return join(settingsFolder(machine), machine.platform === "win32" ? "Zed" : "zed");
}
