import { existsSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { createInterface } from "node:readline/promises";
import { Argument, type Command, InvalidArgumentError, Option } from "commander";
import { SCOPES_IN_USE } from "../auth/scopes.ts";
import { mintToken } from "../auth/tokens.ts";
import { type Config, loadConfig } from "../config.ts";
import { type Change, connecting, copyOf, undoing } from "../connect/change.ts";
import { CLIENTS, type ClientKind } from "../connect/clients.ts";
import { type Place, withEntry } from "../connect/edit.ts";
import { toolsetsFrom } from "../mcp/toolsets.ts";
import { Refusal } from "../refusal.ts";
import { ownUrl, serviceUrl } from "./remote.ts";
import { days, grants, secretOf } from "./token.ts";

interface ConnectOptions {
  url?: string;
  token?: string;
  user: string;
  org: string;
  grants: string[];
  days: number;
  transport: "http" | "sse";
  toolsets?: string;
  name: string;
  file?: string;
  print?: true;
  undo?: true;
  yes?: true;
}

/** Adds `brain connect` to the program. */
export function addConnect(program: Command) {
  program
    .command("connect")
    .description("write, or print, the configuration with which an MCP client connects")
    .addArgument(new Argument("<client>", "which client").choices(Object.keys(CLIENTS)))
    .option("--url <url>", "where the service is (default: what HOST and PORT say)", serviceUrl)
    .option("--token <token>", "the token to connect with (default: a new one)")
    .option("--user <sub>", "whom a new token is for", "local")
    .option("--org <org>", "the tenant it belongs to", "local")
    .option("--grants <spaces>", "shared spaces it opens, separated by blanks", grants, [])
    .option("--days <days>", "how long it is valid", days, 365)
    .addOption(new Option("--transport <transport>", "how to talk").choices(["http", "sse"]).default("http"))
    .option("--toolsets <names>", "more tools: all, or some of graph,entities,admin", toolsets)
    .option("--name <name>", "what the client calls the server", serverName, "coding-brain")
    .option("--file <file>", "another file than the client's own")
    .option("--print", "print the configuration, change nothing")
    .option("--undo", "take the last change back")
    .option("-y, --yes", "do not ask")
    .addHelpText("after", "\nThe file is changed in that one place only, and kept as it was beside it, for --undo.")
    .action(connect);
}

async function connect(client: string, options: ConnectOptions) {
  const kind = CLIENTS[client];
  if (!kind) throw new Error(`${client} is not in the table`); // commander has checked it
  const place: Place = { format: kind.format, servers: kind.servers, name: options.name };
  const machine = { platform: process.platform, home: homedir(), env: process.env };
  const file = options.file ?? kind.file?.(machine);
  if (options.undo) return undo(kind, place, file, options);

  const config = loadConfig();
  const url = options.url ?? ownUrl(config);
  const entry = kind.entry({ ...options, url, token: options.token ?? (await newToken(config, options)) }, client);
  if (options.print || !file) return console.log(withEntry("", place, entry).trimEnd());

  const change = connecting(file, place, entry);
  if (!change) return console.log(`${kind.title} is connected already: ${file}`);
  if (!(await isAgreed(`${file}: ${change.what} the server ${place.name}, for ${url}.`, options))) return;
  change.apply();
  console.log(`Done. ${kind.afterwards}`);
  if (existsSync(copyOf(file))) console.log(`As it was before: ${copyOf(file)}`);
  if (process.platform !== "win32" && (statSync(file).mode & 0o077) !== 0)
    console.log("Others on this machine may read the file, and the token in it; chmod 600 keeps it to yourself.");
  await tellWhetherItAnswers(url);
}

async function undo(kind: ClientKind, place: Place, file: string | undefined, options: ConnectOptions) {
  const change: Change | null = file ? undoing(file, place) : null;
  if (!file || !change) throw new Refusal("failed", `There is nothing to take back for ${kind.title}.`);
  if (
    !(await isAgreed(
      `${file}: ${change.what} ${change.what === "removes" ? `the server ${place.name}` : "what it was before"}.`,
      options,
    ))
  )
    return;
  change.apply();
  console.log("Done.");
}

/** Asks, unless told not to. Throws a Refusal where nobody can be asked. */
async function isAgreed(what: string, { yes }: ConnectOptions): Promise<boolean> {
  console.log(what);
  if (yes) return true;
  if (!process.stdin.isTTY)
    throw new Refusal("usage", "Nobody can be asked here: give --yes to change it, or --print.");
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question("Change it? [y/N] ").finally(() => terminal.close());
  if (/^y(es)?$/i.test(answer.trim())) return true;
  console.log("Nothing was changed.");
  return false;
}

async function newToken(config: Config, { user, org, grants, days }: ConnectOptions): Promise<string> {
  const settings = { ...config, jwt_secret: secretOf(config) };
  const valid_days = Math.min(days, config.jwt_max_lifetime_seconds / 86_400); // not longer than the door would take
  return (await mintToken(settings, { sub: user, org, scopes: SCOPES_IN_USE, grants, days: valid_days })).token;
}

async function tellWhetherItAnswers(url: string) {
  const answer = await fetch(`${url}/mcp/health`, { signal: AbortSignal.timeout(2000) }).catch(() => null);
  if (!answer?.ok) console.log(`${url} does not answer at the moment; \`bun brain up\` starts it.`);
}

function toolsets(text: string): string {
  try {
    toolsetsFrom(`http://localhost/?toolsets=${text}`);
  } catch {
    throw new InvalidArgumentError("All, or some of graph,entities,admin.");
  }
  return text;
}

function serverName(text: string): string {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(text)) throw new InvalidArgumentError("Letters, digits, hyphens and underscores.");
  return text;
}
