import { existsSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { type Command, InvalidArgumentError } from "commander";
import { loadConfig } from "../config.ts";
import { EXIT, Refusal } from "../refusal.ts";
import { openLocal } from "./archives.ts";
import { openProgress, sizeOf } from "./progress.ts";
import { post, remoteFrom, serviceUrl } from "./remote.ts";

interface ExportOptions {
  url?: string;
  token?: string;
  spaces?: string[];
  apps?: string[];
  categories?: string[];
  states?: string[];
  from?: string;
  to?: string;
  force?: true;
  json?: true;
}

/** Adds `brain export` to the program. */
export function addExport(program: Command) {
  program
    .command("export")
    .description("write what a token sees into an archive, through a running service")
    .argument("[file]", "where to", `coding-brain-${new Date().toISOString().slice(0, 10)}.zip`)
    .option("--url <url>", "where the service is (default: what HOST and PORT say)", serviceUrl)
    .option("--token <token>", "whose memories (default: BRAIN_TOKEN, which no list of processes shows)")
    .option("--spaces <spaces>", "only of these spaces, separated by blanks", words)
    .option("--apps <ids>", "only what came through these apps, by id", words)
    .option("--categories <categories>", "only of these categories", words)
    .option("--states <states>", "only in these states; by default all, deleted ones too", words)
    .option("--from <date>", "only stored at this time or later (RFC 3339)")
    .option("--to <date>", "only stored at this time or earlier")
    .option("--force", "write over a file that is there")
    .option("--json", "print {file, bytes, sha256, manifest}")
    .addHelpText(
      "after",
      `\nThe token needs backup:read. What comes is held against its manifest before the file gets its name.\nExits with ${EXIT.service_unreachable}, ${EXIT.service_refused} or ${EXIT.archive_broken} where there is no answer, a refusal, or a damaged archive.`,
    )
    .action(exportTo);
}

async function exportTo(file: string, { url, token, force, json, ...asked }: ExportOptions) {
  const remote = remoteFrom(loadConfig(), { ...(url && { url }), ...(token && { token }) });
  if (!force && existsSync(file)) throw new Refusal("usage", `${file} is there already; --force writes over it.`);
  const response = await post(remote, "/api/v1/backup/export", requestFrom(asked));
  const progress = openProgress();
  const unfinished = `${file}.part`;
  try {
    await keep(response, unfinished, (bytes) => progress.tell(`${sizeOf(bytes)} received`));
    await using local = await openLocal(unfinished, (bytes) => progress.tell(`${sizeOf(bytes)} checked`));
    if (!local.manifest) throw new Refusal("archive_broken", "What came has no manifest.");
    await rename(unfinished, file);
    progress.end();
    const { counts } = local.manifest;
    const { bytes, sha256, manifest } = local;
    if (json) console.log(JSON.stringify({ file, bytes, sha256, manifest }));
    else console.log(`${file}: ${sizeOf(bytes)}, ${toldOf(counts)}.\nSHA-256 ${sha256}`);
  } finally {
    progress.end();
    await rm(unfinished, { force: true });
  }
}

function requestFrom({ spaces, apps, categories, states, from, to }: ExportOptions) {
  const given = { access_entities: spaces, app_ids: apps, categories, states, from_date: from, to_date: to };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

async function keep({ body }: Response, path: string, told: (bytes: number) => void) {
  const file = await open(path, "w", 0o600);
  try {
    let bytes = 0;
    for await (const chunk of body ?? []) {
      await file.writeFile(chunk);
      bytes += chunk.byteLength;
      told(bytes);
    }
    await file.sync(); // or a crash could leave an empty file under the final name
  } catch (error) {
    throw new Refusal("archive_broken", "The archive ended before its end.", error);
  } finally {
    await file.close();
  }
}

const toldOf = (counts: object) =>
  Object.entries(counts)
    .map(([what, count]) => `${count} ${what}`)
    .join(", ");

/** Words separated by blanks. */
function words(text: string): string[] {
  const given = text.split(/\s+/).filter(Boolean);
  if (given.length === 0) throw new InvalidArgumentError("At least one, separated by blanks.");
  return given;
}
