import { type Command, Option } from "commander";
import { type ImportReport, MODES } from "../backup/schema.ts";
import { loadConfig } from "../config.ts";
import { EXIT, Refusal } from "../refusal.ts";
import { fitsOneRequest, type LocalArchive, openLocal, partsOf, sweepParts } from "./archives.ts";
import { openProgress, sizeOf } from "./progress.ts";
import { post, type Remote, remoteFrom, serviceUrl } from "./remote.ts";

interface ImportOptions {
  url?: string;
  token?: string;
  mode: (typeof MODES)[number];
  dryRun?: true;
  space?: string;
  json?: true;
}

/** What all parts came to together. */
type Total = ImportReport & { parts: number };

/** The same, and of which archive. */
type Told = Total & { sha256: string };

const MOST_TOLD = 20;

/** Adds `brain import` to the program. */
export function addImport(program: Command) {
  program
    .command("import")
    .description(
      "store what an archive has, through a running service: ours, the earlier system's, or mem0 OpenMemory's",
    )
    .argument("<file>", "the archive")
    .option("--url <url>", "where the service is (default: what HOST and PORT say)", serviceUrl)
    .option("--token <token>", "whose memories they become (default: BRAIN_TOKEN)")
    .addOption(
      new Option("--mode <mode>", "what becomes of memories that are there").choices([...MODES]).default("skip"),
    )
    .option("--dry-run", "say what would happen, and change nothing")
    .option("--space <space>", "put all of it into this space, wherever it was")
    .option("--json", "print the report")
    .addHelpText(
      "after",
      `\nThe token needs backup:write. One archive is one transaction; one of ours that is larger than a service takes at once
goes in parts, each whole or not at all. Run again after a failure: what is there already is passed over.
Exits with ${EXIT.import_incomplete} where something was rejected, ${EXIT.archive_broken} for an archive that is not what its manifest says,
${EXIT.service_unreachable} or ${EXIT.service_refused} where the service gives no answer, or a refusal.`,
    )
    .action(importFrom);
}

async function importFrom(file: string, { url, token, json, ...options }: ImportOptions) {
  const remote = remoteFrom(loadConfig(), { ...(url && { url }), ...(token && { token }) });
  const progress = openProgress();
  try {
    await sweepParts();
    await using local = await openLocal(file, (bytes) => progress.tell(`${sizeOf(bytes)} checked`));
    const total = fitsOneRequest(local)
      ? { ...(await send(remote, file, options)), parts: 1 }
      : await sendParts(remote, local, options, (line) => progress.tell(line));
    progress.end();
    const told = { ...total, sha256: local.sha256 };
    if (json) console.log(JSON.stringify(told));
    else tell(told);
    const accounted = total.created + total.updated + total.skipped + total.rejected;
    const memories = local.manifest?.counts.memories ?? 0;
    if (accounted < memories)
      throw new Refusal(
        "import_incomplete",
        `The service tells of ${accounted} memories, and the archive has ${memories}.`,
      );
    if (total.rejected > 0)
      throw new Refusal("import_incomplete", `${total.rejected} of the archive were not taken over.`);
  } finally {
    progress.end();
  }
}

async function send(remote: Remote, path: string, { mode, dryRun, space }: Omit<ImportOptions, "url" | "token">) {
  const query = new URLSearchParams({
    mode,
    ...(dryRun && { dry_run: "true" }),
    ...(space && { access_entity: space }),
  });
  const form = new FormData();
  form.set("file", Bun.file(path), "archive.zip");
  const response = await post(remote, `/api/v1/backup/import?${query}`, form);
  return (await response.json().catch((error: unknown) => {
    throw new Refusal("service_unreachable", "The service ended in the middle of its answer; run it again.", error);
  })) as ImportReport;
}

async function sendParts(
  remote: Remote,
  local: LocalArchive,
  options: Omit<ImportOptions, "url" | "token">,
  told: (line: string) => void,
): Promise<Total> {
  if (!local.manifest) throw new Refusal("usage", "An archive that is not ours can only be sent whole, up to 64 MB.");
  let total: Total | undefined;
  let sent = 0;
  for await (const { path, memories } of partsOf(local)) {
    const report = await send(remote, path, options);
    sent += memories;
    told(`${sent} of ${local.manifest.counts.memories} memories sent`);
    total = total ? sumOf(total, report) : { ...report, parts: 1 };
  }
  if (!total) throw new Refusal("archive_broken", "The archive has nothing in it.");
  return total;
}

const COUNTS = [
  "created",
  "updated",
  "skipped",
  "rejected",
  "relations",
  "events",
  "aliases",
  "links_left_out",
] as const;

function sumOf(total: Total, report: ImportReport): Total {
  const counts = Object.fromEntries(COUNTS.map((name) => [name, total[name] + report[name]]));
  return {
    ...total,
    ...counts,
    parts: total.parts + 1,
    reasons: [...total.reasons, ...report.reasons].slice(0, 100),
    links: [...total.links, ...report.links].slice(0, 100),
  };
}

function tell({
  dry_run,
  created,
  updated,
  skipped,
  rejected,
  relations,
  events,
  aliases,
  reasons,
  links_left_out,
  links,
  sha256,
}: Told) {
  console.log(
    `${dry_run ? "Would be: " : ""}${created} created, ${updated} updated, ${skipped} skipped, ${rejected} rejected; ${relations} relations, ${events} events, ${aliases} aliases.\nSHA-256 of the archive: ${sha256}`,
  );
  if (links_left_out > 0) console.log(`${links_left_out} links were left out, as what they lead to is not there.`);
  for (const { line, id, code, at, message } of [...reasons, ...links].slice(0, MOST_TOLD))
    console.log(`line ${line}${id ? `, ${id}` : ""}: ${code}${at ? ` ${at}` : ""}: ${message}`);
}
