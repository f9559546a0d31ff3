import { expect, test } from "bun:test";
import postgres from "postgres";
import { checkLeaks } from "../../src/leaks/run.ts";
import { findsEach, MORE_PLANTS } from "../support/plants.ts";
import { freshDatabase } from "../support/server.ts";

/** It took 10 minutes on two cores, and 15 beside other work. */
const PATIENCE = 1_800_000;
const MINUTE = 60_000;

test(
  "nothing leaks to anybody: the whole of brain leak-check",
  async () => {
    const database = await freshDatabase();
    const owner = postgres(database.owner_url, { max: 1, onnotice: () => {} });
    // As a server does that is not thrown away: without it a filter by entity came to 22 ms, with it to 1.
    const tidying = setInterval(() => void owner`vacuum analyze`.execute(), MINUTE);
    const { findings, phases } = await checkLeaks(database).finally(async () => {
      clearInterval(tidying);
      await owner.end();
      await database.drop();
    });
    for (const { phase, requests, bytes, ms } of phases)
      console.log(`${phase}: ${requests} requests, ${bytes} bytes, ${(ms / 1000).toFixed(1)} s`);
    expect(findings).toEqual([]);
  },
  PATIENCE,
);

findsEach(MORE_PLANTS);
