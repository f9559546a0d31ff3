import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type postgres from "postgres";
import { openDatabase } from "../db.ts";
import { messageOf } from "../refusal.ts";
import { BACKUP_KEY_FILE } from "./backup_key.ts";
import { backupFolder } from "./before_migrating.ts";
import { catalogFaults } from "./catalog.ts";
import { databaseOf, expectMaker, leftovers, nameBeside, type Place } from "./databases.ts";
import { onConnection } from "./owner.ts";
import { within } from "./runs.ts";
import { isUnfinished } from "./sealed_file.ts";
import { statusOf } from "./status.ts";

/** One thing that was looked at. `bad` keeps something from working, `odd` is worth knowing. */
export interface Finding {
  readonly about: string;
  readonly verdict: "good" | "odd" | "bad";
  readonly said: string;
}

interface Patient extends Place {
  readonly service_url: string | undefined;
  readonly data_dir: string;
}

const OLDEST_SERVER = 15;

/** Looks at a database as an operator would who wants to know why it does not work. Changes nothing, and goes on after a fault. */
export async function examine(patient: Patient): Promise<Finding[]> {
  const looks: [string, () => Promise<Finding[]>][] = [
    ["the owner's connection", () => onConnection(patient.owner_url, (session) => within(session, server))],
    ["the service's role", () => service(patient.service_url)],
    ["the schema", () => schema(patient)],
    ["the rules of the catalog", () => onConnection(patient.owner_url, (session) => within(session, rules))],
    ["what spaces hold", () => onConnection(patient.owner_url, (session) => within(session, sizes))],
    ["who may make databases", () => maker(patient)],
    ["backups", async () => backups(patient.data_dir)],
  ];
  const findings: Finding[] = [];
  for (const [about, look] of looks)
    findings.push(
      ...(await look().catch((error: unknown) => [{ about, verdict: "bad" as const, said: messageOf(error) }])),
    );
  return findings;
}

async function server(tx: postgres.ISql): Promise<Finding[]> {
  const [facts] = await tx<{ version: string; major: number; encoding: string; tls: boolean; role: string }[]>`
    select current_setting('server_version') as version, current_setting('server_version_num')::int / 10000 as major,
           current_setting('server_encoding') as encoding, current_user as role,
           coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as tls`;
  if (!facts) throw new Error("the database tells nothing of itself");
  const { version, major, encoding, tls, role } = facts;
  const about = "the owner's connection";
  return [
    { about, verdict: "good", said: `as ${role}${tls ? ", encrypted" : ""}` },
    {
      about: "PostgreSQL",
      verdict: major < OLDEST_SERVER ? "bad" : "good",
      said: `${version}; ${OLDEST_SERVER} is the oldest it runs on`,
    },
    { about: "the encoding", verdict: encoding === "UTF8" ? "good" : "bad", said: encoding },
  ];
}

async function service(url: string | undefined): Promise<Finding[]> {
  const about = "the service's role";
  if (!url) return [{ about, verdict: "odd", said: "DATABASE_URL is not set: not looked at" }];
  const database = openDatabase(url, { max: 1 });
  try {
    const { faults } = await database.facts();
    return [{ about, verdict: faults.length > 0 ? "bad" : "good", said: faults.join(" ") || "may serve" }];
  } finally {
    await database.close();
  }
}

async function schema({ owner_url, data_dir }: Patient): Promise<Finding[]> {
  const { state, migration, newest, pending, drift, last_run } = await statusOf(owner_url, data_dir);
  const about = "the schema";
  const said = {
    "up to date": `at ${migration}`,
    behind: `at ${migration ?? "no migration"}; \`brain migrate\` would run ${pending.join(", ")}`,
    ahead: `at ${migration}, and this release knows ${newest}`,
    drifted: drift.join("; "),
  }[state];
  const is_unfinished = last_run !== null && /^(failed|interrupted|running)$/.test(last_run.result);
  return [
    { about, verdict: state === "up to date" ? "good" : "bad", said },
    ...(is_unfinished
      ? [
          {
            about: "the last run",
            verdict: "odd" as const,
            said: `${last_run.result}: ${last_run.detail ?? "it may still be at work"}`,
          },
        ]
      : []),
  ];
}

async function rules(tx: postgres.ISql): Promise<Finding[]> {
  const about = "the rules of the catalog";
  const [known] = await tx<{ there: boolean }[]>`select to_regnamespace('brain') is not null as there`;
  if (!known?.there) return [{ about, verdict: "odd", said: "there is no schema yet" }];
  const faults = await catalogFaults(tx);
  return faults.length === 0
    ? [{ about, verdict: "good", said: "kept" }]
    : faults.map((said) => ({ about, verdict: "bad" as const, said }));
}

/** What spaces keep of how much they hold, against what they hold: wrong where somebody wrote without the triggers. Reads every memory. */
async function sizes(tx: postgres.ISql): Promise<Finding[]> {
  const about = "what spaces hold";
  const [known] = await tx<{ there: boolean }[]>`
    select exists (
      select from pg_attribute where attrelid = to_regclass('brain.space_sizes') and attname = 'is_sum') as there`;
  if (!known?.there) return [{ about, verdict: "odd", said: "there is nothing that keeps it yet" }];
  const wrong = await wronglySized(tx);
  if (wrong === 0) return [{ about, verdict: "good", said: "is what they say" }];
  const said = `is not what ${wrong} of them say: totals of lists are wrong. docs/operations.md says how to count anew`;
  return [{ about, verdict: "bad", said }];
}

/** How many spaces hold something else than what is kept of it. */
export async function wronglySized(tx: postgres.ISql): Promise<number> {
  const [row] = await tx<{ wrong: number }[]>`
    with told as (
      select org_id, space_id, state, category, app_id, app, source, artifact_type, sum(memories) as memories
      from brain.space_sizes
      group by org_id, space_id, state, category, app_id, app, source, artifact_type
      having sum(memories) <> 0
    ),
    held as (
      select org_id, space_id, state, category, app_id, app, source, artifact_type, count(*) as memories
      from brain.memories
      where state <> 'deleted'
      group by org_id, space_id, state, category, app_id, app, source, artifact_type
    )
    select count(distinct (org_id, space_id))::int as wrong
    from ((table told except table held) union all (table held except table told)) as different`;
  return row?.wrong ?? 0;
}

async function maker(place: Place): Promise<Finding[]> {
  const about = "who may make databases";
  const refused = await expectMaker(place, "A backup before a migration, verify and restore").then(
    () => null,
    (error: unknown) => messageOf(error),
  );
  if (refused) return [{ about, verdict: "odd", said: refused }];
  const left = await leftovers(place);
  const kept = nameBeside(databaseOf(place.owner_url), "before", "");
  const beside = left.filter((name) => name.startsWith(kept));
  return [
    { about, verdict: "good", said: "somebody here" },
    ...(beside.length > 0
      ? [
          {
            about: "databases kept by a restore",
            verdict: "odd" as const,
            said: `${beside.join(", ")}; drop what you need no more`,
          },
        ]
      : []),
  ];
}

function backups(data_dir: string): Finding[] {
  const about = "backups";
  const key = join(data_dir, BACKUP_KEY_FILE);
  const folder = backupFolder(data_dir);
  if (!existsSync(key)) return [{ about, verdict: "odd", said: `none was taken from ${data_dir}` }];
  const is_open = (statSync(key).mode & 0o077) !== 0;
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const unfinished = names.filter(isUnfinished);
  return [
    {
      about: "the key of backups",
      verdict: is_open ? "bad" : "good",
      said: is_open ? `others may read ${key}` : "for its owner alone",
    },
    { about, verdict: "good", said: `${names.length - unfinished.length} in ${folder}` },
    ...(unfinished.length > 0
      ? [
          {
            about,
            verdict: "odd" as const,
            said: `${unfinished.length} unfinished, which the next backup removes unless they are being written`,
          },
        ]
      : []),
  ];
}
