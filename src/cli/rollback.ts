import { type Command, InvalidArgumentError } from "commander";
import { planRollback, type RollbackPlan, rollBack } from "../ops/rollback.ts";
import { Refusal } from "../refusal.ts";
import { withOwner } from "./owner.ts";
import { type Telling, told } from "./told.ts";

interface RollbackOptions {
  plan?: true;
  acceptDataLoss?: number;
  json?: true;
}

/** Adds `brain rollback` to the program. */
export function addRollback(program: Command) {
  program
    .command("rollback")
    .description("take the newest migration back, or say which way back there is")
    .argument("[migration]", "the newest migration, by its six digits: run twice, it is taken back once", sixDigits)
    .option("--plan", "say which of R0 to R3 applies, and how many rows of which table would be lost; changes nothing")
    .option("--accept-data-loss <rows>", "how many rows may be lost, as --plan has said: exactly so many", wholeNumber)
    .option("--json", "print the plan, or what was done, as JSON")
    .addHelpText(
      "after",
      "\nUses OWNER_DATABASE_URL, or the embedded database. docs/rollback.md says what R0 to R3 are.",
    )
    .action(rollback);
}

function rollback(migration: string | undefined, options: RollbackOptions): Promise<void> {
  return told(options.json, (telling) => planOrRollBack(migration, options, telling));
}

async function planOrRollBack(
  migration: string | undefined,
  { plan, acceptDataLoss, json }: RollbackOptions,
  { say }: Telling,
) {
  if (plan && acceptDataLoss !== undefined) throw new Refusal("usage", "Either --plan or --accept-data-loss.");
  if (plan) return tellPlan(await withOwner(planRollback), json);
  if (migration === undefined) throw new Refusal("usage", "Name the migration, as `brain rollback --plan` prints it.");
  if (acceptDataLoss === undefined)
    throw new Refusal(
      "loss_not_accepted",
      "Say how many rows may be lost: `brain rollback --plan` tells how many would be.",
    );
  const done = await withOwner((url) => rollBack(url, migration, acceptDataLoss, say));
  if (json) console.log(JSON.stringify(done, null, 2));
  else console.log(`${done.migration} is taken back; ${done.rows_lost} rows are lost.`);
}

function tellPlan(plan: RollbackPlan, json?: true) {
  if (json) return console.log(JSON.stringify(plan, null, 2));
  const { migration, ways, advised, stays, connections } = plan;
  console.log(`The newest migration is ${migration ?? "none"}.\n`);
  for (const [name, { applies, says }] of Object.entries(ways))
    console.log(`${name} ${applies ? "applies" : "does not apply"}${name === advised ? " (advised)" : ""}: ${says}`);
  for (const said of stays) console.log(`R2 leaves as it is: ${said}.`);
  if (connections > 0) console.log(`${connections} connections of the service are open: stop it before R2 or R3.`);
}

function sixDigits(text: string): string {
  if (!/^\d{6}$/.test(text)) throw new InvalidArgumentError("Six digits, such as 000012.");
  return text;
}

function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("A whole number.");
  return Number(text);
}
