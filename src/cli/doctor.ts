import { type Command, InvalidArgumentError } from "commander";
import { ConfigError, loadConfig } from "../config.ts";
import { joinEmbedded, openEmbedded } from "../embedded/database.ts";
import { type Access, type AccessQuestion, explainAccess } from "../ops/access.ts";
import { examine } from "../ops/doctor.ts";
import { Refusal } from "../refusal.ts";
import { withPlace } from "./owner.ts";
import { grants } from "./token.ts";
import { told } from "./told.ts";

interface AccessOptions {
  user: string;
  org: string;
  memory: string;
  grants: string[];
  json?: true;
}

/** Adds `brain doctor` to the program. */
export function addDoctor(program: Command) {
  const doctor = program
    .command("doctor")
    .description("look at the database for what keeps it from working; or, with access, why something is as it is")
    .option("--json", "print the findings as JSON")
    .addHelpText(
      "after",
      "\nUses OWNER_DATABASE_URL, DATABASE_URL and ROOT_DATABASE_URL, or the embedded database. Changes nothing.",
    )
    .action(lookAtDatabase);
  doctor
    .command("access")
    .description("why a memory is visible to a user, or is not")
    .requiredOption("--user <sub>", "who asks for it")
    .requiredOption("--org <org>", "the tenant their token belongs to")
    .requiredOption("--memory <id>", "what they ask for", memoryId)
    .option("--grants <spaces>", "shared spaces their token opens, separated by blanks", grants, [])
    .option("--json", "print the whole answer")
    .addHelpText(
      "after",
      "\nAsks the database as that user, by DATABASE_URL, and reads why as its owner, by OWNER_DATABASE_URL; or uses the embedded one. Writes nothing.",
    )
    .action((_options: unknown, command: Command) => access(command.optsWithGlobals()));
}

async function lookAtDatabase({ json }: { json?: true }) {
  const findings = await told(json, () =>
    withPlace((place, { data_dir, database_url }) =>
      examine({ ...place, data_dir, service_url: database_url ?? joinEmbedded(data_dir)?.database_url }),
    ),
  );
  if (json) console.log(JSON.stringify(findings));
  else for (const { about, verdict, said } of findings) console.log(`${verdict.padEnd(4)}  ${about}: ${said}`);
  const bad = findings.filter(({ verdict }) => verdict === "bad");
  if (bad.length > 0) throw new Refusal("failed", `${bad.length} of ${findings.length} are bad.`);
}

async function access({ user, org, memory, grants, json }: AccessOptions) {
  const answer = await explain({ org, sub: user, grants, memory_id: memory });
  console.log(json ? JSON.stringify(answer) : sentencesOf(answer).join("\n"));
  if (!answer.agrees)
    throw new Refusal(
      "failed",
      `THE DATABASE AND THE RULE DISAGREE: it says ${answer.verdict}, and the reasons say otherwise. Ask again in case something changed meanwhile; if they still do, the role of DATABASE_URL or a policy is wrong: see docs/database.md.`,
    );
}

async function explain(question: AccessQuestion): Promise<Access> {
  const { database_url, owner_database_url, data_dir } = loadConfig();
  if (database_url && owner_database_url) return explainAccess(database_url, owner_database_url, question);
  if (database_url || owner_database_url)
    throw new ConfigError("doctor access needs both DATABASE_URL and OWNER_DATABASE_URL, or neither.");
  const { server, ...urls } = await openEmbedded(data_dir, console.error);
  return explainAccess(urls.database_url, urls.owner_database_url, question).finally(() => server.stop());
}

function sentencesOf({ verdict, reasons, notes, held, opened_by, matching, memory }: Access): string[] {
  const said = reasons.map((reason) => reason.said).join(" ");
  return [
    verdict === "not visible" && said ? `${verdict}: ${said}` : verdict,
    ...(verdict === "visible" && said ? [`By the rule it is not: ${said}`] : []),
    ...notes,
    ...(memory
      ? [
          `The memory is ${memory.owner}'s, of ${memory.org}, in ${memory.access_entity}, ${memory.state}.`,
          `Its space is opened by ${opened_by.join(", ")}.`,
        ]
      : []),
    `The token holds ${held.join(", ")}${matching.length > 0 ? `; of these ${matching.join(", ")} opens it` : ""}.`,
  ];
}

function memoryId(text: string): string {
  if (!/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text))
    throw new InvalidArgumentError("That is not a memory's id.");
  return text;
}
