import { join } from "node:path";
import { Command } from "commander";
import { benchRetrieval } from "./retrieval.ts";

/** The data lies beside the project and is no part of it: CC BY-NC 4.0. */
const LOCOMO = join(import.meta.dir, "../../../shared/bench/locomo10.json");

const program = new Command("bench").description(
  "measure this project; each bench writes its section of docs/benchmarks.md",
);
program
  .command("retrieval")
  .description("how much of what is asked for is found: LoCoMo, and generated identifiers")
  .option("--data <file>", "locomo10.json (or LOCOMO in the environment)", process.env.LOCOMO ?? LOCOMO)
  .action(({ data }: { data: string }) => benchRetrieval(data));

await program.parseAsync();
process.exit(0);
