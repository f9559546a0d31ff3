import { type Command, InvalidArgumentError } from "commander";
import { type Config, ConfigError, loadConfig } from "../config.ts";
import { openEmbedded } from "../embedded/database.ts";
import { type Figures, type Listener, PHASES, type Phase, type Report } from "../leaks/report.ts";
import type { LeakCheckOptions } from "../leaks/run.ts";
import { openScratch } from "../ops/scratch.ts";
import { EXIT, Refusal } from "../refusal.ts";
import { openProgress } from "./progress.ts";
import { untilStopped } from "./signals.ts";

interface CommandOptions {
  url?: string;
  short?: true;
  only?: Phase[];
  json?: true;
}

/** Adds `brain leak-check` to the program. */
export function addLeakCheck(program: Command) {
  program
    .command("leak-check")
    .description("attack the application as everybody, on a scratch database of its own, and tell what leaks")
    .option("--url <base>", "instead ask a deployment, reading only, with the two tokens of LEAK_CHECK_TOKENS")
    .option("--short", "fewer people and pairs: seconds instead of minutes")
    .option("--only <phases>", `some of them, separated by commas: ${PHASES.join(", ")}`, phasesFrom)
    .option("--json", "print {phases, findings}")
    .addHelpText(
      "after",
      `\nUses ROOT_DATABASE_URL, or the embedded database. Exits with ${EXIT.leak_found} when something was found.`,
    )
    .action(leakCheck);
}

async function leakCheck({ url, short, only = [...PHASES], json }: CommandOptions) {
  const config = loadConfig();
  const progress = openProgress();
  const listener: Listener = {
    began: (phase) => progress.begin(`${phase} …`),
    came: (phase, how_far) => progress.tell(`${phase} … ${how_far}`),
    told(figures) {
      progress.end();
      if (!json) console.log(lineOf(figures));
    },
  };
  const report = await (url
    ? checkUrl(url, config, listener)
    : checkScratch(config, { depth: short ? "short" : "full", phases: only, ...listener })
  ).finally(() => progress.end());
  if (json) console.log(JSON.stringify(report));
  else tellFindings(report);
  if (report.findings.length > 0) process.exitCode = EXIT.leak_found;
}

// Both load the whole service, which no other command is to wait for.

async function checkUrl(url: string, config: Config, listener: Listener): Promise<Report> {
  const tokens = tokensOf(config);
  const { checkDeployment } = await import("../leaks/deployment.ts");
  return checkDeployment(url, tokens, listener);
}

/** On a database that is gone afterwards, whatever happens; a signal ends the check at its next request. */
async function checkScratch(config: Config, options: LeakCheckOptions): Promise<Report> {
  const stop = new AbortController();
  const stopped = new Refusal("failed", "Stopped before the end; what was made for it has been removed.");
  void untilStopped().then(() => stop.abort(stopped));
  const { checkLeaks } = await import("../leaks/run.ts");
  const { root_url, close } = await serverOf(config);
  try {
    const scratch = await openScratch(root_url);
    try {
      return await checkLeaks(scratch, { ...options, signal: stop.signal });
    } finally {
      await scratch.drop();
    }
  } finally {
    await close();
  }
}

/** Where the scratch database is made. Throws ConfigError where a server of one's own is meant and nobody may make one. */
async function serverOf({ root_database_url, database_url, owner_database_url, data_dir }: Config) {
  if (root_database_url) return { root_url: root_database_url, close: async () => {} };
  if (database_url || owner_database_url)
    throw new ConfigError(
      "leak-check needs ROOT_DATABASE_URL, an administrator's connection: it makes a scratch database and roles, and removes them.",
    );
  const { server, root_database_url: root_url } = await openEmbedded(data_dir, console.error);
  return { root_url, close: () => server.stop() };
}

function phasesFrom(text: string): Phase[] {
  const words = text.split(",");
  const unknown = words.filter((word) => !PHASES.some((phase) => phase === word));
  if (unknown.length > 0) throw new InvalidArgumentError(`There is no phase ${unknown.join(", ")}.`);
  return PHASES.filter((phase) => words.includes(phase));
}

function tokensOf({ leak_check_tokens }: Config): readonly [string, string] {
  if (!leak_check_tokens) throw new ConfigError("leak-check --url needs LEAK_CHECK_TOKENS.");
  return leak_check_tokens;
}

const lineOf = ({ phase, looked_at, requests, bytes, ms, findings }: Figures) =>
  `${phase.padEnd(13)}${findings === 0 ? "ok" : `${findings} FOUND`}  ${looked_at} (${requests} requests, ${bytes} bytes, ${(ms / 1000).toFixed(1)} s)`;

const MOST_TOLD = 50;

function tellFindings({ findings }: Report) {
  for (const { phase, said } of findings.slice(0, MOST_TOLD)) console.log(`${phase}: ${said}`);
  if (findings.length > MOST_TOLD) console.log(`And ${findings.length - MOST_TOLD} more; --json prints them all.`);
  console.log(findings.length === 0 ? "Nothing was found." : `${findings.length} findings.`);
}
