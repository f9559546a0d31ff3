import { readFileSync } from "node:fs";
import { type Command, Option } from "commander";
import { loadConfig } from "../config.ts";
import { openEmbedded } from "../embedded/database.ts";
import { type ChainReport, eraseFromAudit, type Head, verifyAudit } from "../ops/audit.ts";
import { messageOf, Refusal } from "../refusal.ts";

/** Adds `brain verify` and `brain audit` to the program. */
export function addVerify(program: Command) {
  program
    .command("verify")
    .description("check that what is stored is what was stored")
    .addOption(new Option("--audit", "the chain of every org's audit").makeOptionMandatory())
    .option("--against <file>", "the heads an earlier --json printed: the chains must still reach and hold them", heads)
    .option("--json", "print the report of each org as JSON")
    .addHelpText("after", "\nUses OWNER_DATABASE_URL, or the embedded database.")
    .action(verify);
  program
    .command("audit")
    .description("the audit")
    .command("erase")
    .description("take a user's name, apps and spaces out of the audit; its events and its chain stay")
    .requiredOption("--org <org>", "the tenant")
    .requiredOption("--user <sub>", "whose")
    .action(async (person: { org: string; user: string }) => {
      const erased = await asOwner((url) => eraseFromAudit(url, { org: person.org, sub: person.user }));
      console.log(`${erased} events no longer say whose they were.`);
    });
}

async function verify({ against = [], json }: { against?: Head[]; json?: true }) {
  const reports = await asOwner((url) => verifyAudit(url, against));
  if (json) console.log(JSON.stringify(reports, null, 2));
  else for (const report of reports) console.log(lineFor(report));
  const broken = reports.filter(({ faults }) => faults.length > 0);
  if (broken.length > 0)
    throw new Refusal("audit_broken", `The audit of ${broken.length} of ${reports.length} orgs is not whole.`);
}

function lineFor({ org, org_id, seq, hash, unsealed, erased, faults }: ChainReport): string {
  const what = faults.length > 0 ? `BROKEN: ${faults.join("; ")}` : `whole up to ${seq} (${hash.slice(0, 16)}…)`;
  return `${JSON.stringify(org ?? org_id)}: ${what}; ${unsealed} not chained yet, ${erased} erased`;
}

function heads(file: string): Head[] {
  try {
    const reports: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (Array.isArray(reports) && reports.every(isHead)) return reports;
  } catch (error) {
    throw new Refusal("usage", `${file} cannot be read: ${messageOf(error)}.`);
  }
  throw new Refusal("usage", `${file} is not what \`brain verify --audit --json\` prints.`);
}

const isHead = (value: unknown): value is Head => {
  const { org_id, seq, hash } = (value ?? {}) as Partial<Head>;
  return typeof org_id === "string" && Number.isSafeInteger(seq) && typeof hash === "string";
};

async function asOwner<T>(work: (owner_url: string) => Promise<T>): Promise<T> {
  const { owner_database_url, data_dir } = loadConfig();
  if (owner_database_url) return work(owner_database_url);
  const embedded = await openEmbedded(data_dir, console.error);
  return work(embedded.owner_database_url).finally(() => embedded.server.stop());
}
