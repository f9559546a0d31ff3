import type { Command } from "commander";
import { ConfigError, loadConfig } from "../config.ts";
import { openProvider } from "../embeddings/provider.ts";
import { dimensionsOf } from "../embeddings/worker.ts";
import {
  beginMigration,
  compareSpaces,
  embeddingSpaces,
  jobsLeft,
  retryJobs,
  switchBack,
  switchSpaces,
} from "../ops/embeddings.ts";
import { Refusal } from "../refusal.ts";
import { withOwner } from "./owner.ts";

const OWNER =
  "\nUses OWNER_DATABASE_URL, or the embedded database. The vectors themselves are made by the running service.";

/** Adds `brain embeddings` and `brain jobs` to the program. */
export function addEmbeddings(program: Command) {
  const embeddings = program
    .command("embeddings")
    .description("the vectors that memories are found by")
    .addHelpText("after", OWNER);
  embeddings
    .command("status")
    .description("each org's embedding spaces, and how far they are filled")
    .option("--json", "as JSON")
    .action(async ({ json }: { json?: true }) => {
      const spaces = await withOwner(embeddingSpaces);
      if (json) return console.log(JSON.stringify(spaces));
      if (spaces.length === 0) console.log("No org has an embedding space.");
      for (const { org, id, model, dimensions, state, memories, embedded, waiting, dead } of spaces)
        console.log(
          `${JSON.stringify(org)} ${id}: ${model}, ${dimensions} dimensions, ${state}; ${embedded} of ${memories} embedded, ${waiting} waiting, ${dead} given up`,
        );
    });
  embeddings
    .command("migrate")
    .description(
      "fill a space of EMBEDDINGS_MODEL beside the one in use, which answers on; again: what is still missing",
    )
    .action(migrate);
  embeddings
    .command("switch")
    .description("put the filled space to use; prints first how like the answers of both are")
    .action(async () => {
      await withOwner(async (url) => {
        for (const { org, sampled, overlap } of await compareSpaces(url))
          console.log(
            `${JSON.stringify(org)}: of the 10 nearest to ${sampled} sampled memories both spaces give ${(100 * overlap).toFixed(0)} %.`,
          );
        console.log(`${await switchSpaces(url)} orgs switched.`);
      });
    });
  embeddings
    .command("back")
    .description("put the space of before to use again")
    .action(async () => console.log(`${await withOwner(switchBack)} orgs switched back.`));

  program
    .command("jobs")
    .description("work that writes left for later and that is not done")
    .option("--dead", "only what was given up after ten times")
    .option("--retry", "give what was given up another ten times")
    .option("--json", "as JSON")
    .addHelpText("after", OWNER)
    .action(jobs);
}

async function migrate() {
  const { embeddings } = loadConfig();
  if (!embeddings) throw new ConfigError("embeddings migrate needs EMBEDDINGS_URL and EMBEDDINGS_MODEL.");
  const dimensions = await dimensionsOf(openProvider(embeddings));
  if (!dimensions) throw new Refusal("failed", "The provider of embeddings does not answer.");
  const begun = await withOwner((url) => beginMigration(url, embeddings.model, dimensions));
  console.log(
    `${begun} spaces of ${embeddings.model} (${dimensions} dimensions) begun. The running service fills them; see brain embeddings status.`,
  );
}

async function jobs({ dead = false, retry, json }: { dead?: boolean; retry?: true; json?: true }) {
  if (retry) return console.log(`${await withOwner(retryJobs)} jobs are due again.`);
  const left = await withOwner((url) => jobsLeft(url, { dead }));
  if (json) return console.log(JSON.stringify(left));
  if (left.length === 0) console.log("No jobs are left.");
  for (const { org, id, kind, sub, attempts, run_at, last_error, is_dead } of left)
    console.log(
      `${id} ${kind} for ${JSON.stringify(sub)} of ${JSON.stringify(org)}: ${is_dead ? "given up" : `due ${run_at}`}, tried ${attempts} times${last_error ? `, ${last_error}` : ""}`,
    );
}
