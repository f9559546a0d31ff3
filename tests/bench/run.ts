import { join } from "node:path";
import { Command } from "commander";
import { benchCeiling, benchCompare } from "./ceiling.ts";
import type { Times } from "./interleaved.ts";
import { benchLatency, type Sizes } from "./latency.ts";
import { benchMillion, type Million } from "./million.ts";
import { benchRetrieval } from "./retrieval.ts";
import { benchVectors } from "./vectors.ts";

/** The data lies beside the project and is no part of it: CC BY-NC 4.0. */
const LOCOMO = join(import.meta.dir, "../../../shared/bench/locomo10.json");

const list = (text: string) => text.split(",").map(Number);

const program = new Command("bench").description(
  "measure this project; each bench writes its section of docs/benchmarks.md",
);
program
  .command("ceiling", { isDefault: true })
  .description("what a request costs beyond its SQL, against ceilings measured in the same run")
  .option("--seconds <seconds>", "of each slice", Number, 2)
  .option("--rounds <rounds>", "slices of each", Number, 4)
  .action((times: Times) => benchCeiling(times));
program
  .command("compare <names...>")
  .description('some of it side by side: bun run bench compare "C1h get" "REST get"')
  .option("--at <callers>", "callers at once", Number, 16)
  .option("--seconds <seconds>", "of each slice", Number, 1)
  .option("--rounds <rounds>", "slices of each", Number, 5)
  .action((names: string[], options: Times & { at: number }) => benchCompare(names, options));
program
  .command("million")
  .description("routes that page, with a million memories in a thousand orgs against ten thousand in ten")
  .option("--few <orgs>", "orgs in the small database", Number, 10)
  .option("--many <orgs>", "orgs in the large one", Number, 1000)
  .option("--memories <memories>", "in each org", Number, 1000)
  .option("--requests <requests>", "of each route to each", Number, 100)
  .action((options: Million) => benchMillion(options));
program
  .command("retrieval")
  .description("how much of what is asked for is found: LoCoMo, and generated identifiers")
  .option("--data <file>", "locomo10.json (or LOCOMO in the environment)", process.env.LOCOMO ?? LOCOMO)
  .action(({ data }: { data: string }) => benchRetrieval(data));

program
  .command("latency")
  .description("how long searches take beside a million memories")
  .option("--all <count>", "memories in all", Number, 1_000_000)
  .option("--large <count>", "memories in the org of the first caller", Number, 100_000)
  .option("--small <count>", "memories of the second caller", Number, 10_000)
  .action((sizes: Sizes) => benchLatency(sizes));
program
  .command("vectors")
  .description("what the semantic leg finds of what exact search finds")
  .option("--counts <counts>", "memories, separated by commas", list, [10_000, 100_000])
  .option("--dimensions <dimensions>", "separated by commas", list, [256, 1024, 1536])
  .action(({ counts, dimensions }: { counts: number[]; dimensions: number[] }) => benchVectors(counts, dimensions));

await program.parseAsync();
process.exit(0);
