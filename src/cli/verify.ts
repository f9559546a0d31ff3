import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { type ChainReport, eraseFromAudit, type Head, verifyAudit } from "../ops/audit.ts";
import { migrationOf, rowsOf } from "../ops/backup_manifest.ts";
import { verifyBackup } from "../ops/restore.ts";
import { messageOf, Refusal } from "../refusal.ts";
import { type KeyOptions, keyOf, withKey } from "./backup.ts";
import { withOwner, withPlace } from "./owner.ts";
import { told } from "./told.ts";

/** Adds `brain verify` and `brain audit` to the program. */
export function addVerify(program: Command) {
  withKey(
    program
      .command("verify")
      .description("check that what is stored is what was stored: a backup, or the audit")
      .argument("[file]", "a backup: it is restored into a scratch database, and every row held against its manifest"),
  )
    .option("--audit", "the chain of every org's audit")
    .option("--against <file>", "the heads an earlier --json printed: the chains must still reach and hold them", heads)
    .option("--json", "print the report as JSON")
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
      const erased = await withOwner((url) => eraseFromAudit(url, { org: person.org, sub: person.user }));
      console.log(`${erased} events no longer say whose they were.`);
    });
}

interface VerifyOptions extends KeyOptions {
  audit?: true;
  against?: Head[];
  json?: true;
}

async function verify(file: string | undefined, { audit, against = [], json, ...key }: VerifyOptions) {
  if ((file === undefined) === (audit === undefined))
    throw new Refusal("usage", "verify wants a backup's file, or --audit.");
  return file === undefined ? verifyChains(against, json) : verifyFile(file, key, json);
}

async function verifyFile(file: string, key: KeyOptions, json: true | undefined) {
  await told(json, (telling) =>
    withPlace(async (place, { data_dir }) => {
      const { manifest, by_hand } = await verifyBackup(place, file, { key: keyOf(key, data_dir), ...telling });
      const { taken_at, database, installation, release, tables } = manifest;
      const facts = {
        file,
        taken_at,
        database,
        installation,
        release,
        migration: migrationOf(manifest),
        rows: rowsOf(manifest),
      };
      if (json) return console.log(JSON.stringify({ ...facts, tables, by_hand }));
      console.log(`${file} is whole and was restored: ${facts.rows} rows of ${taken_at}, at ${facts.migration}.`);
      for (const what of by_hand) console.log(`Done by hand there, and would not be restored: ${what}.`);
    }),
  );
}

async function verifyChains(against: Head[], json: true | undefined) {
  const reports = await withOwner((url) => verifyAudit(url, against));
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
