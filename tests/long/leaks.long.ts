import { expect, test } from "bun:test";
import { checkLeaks } from "../../src/leaks/run.ts";
import { findsEach, MORE_PLANTS } from "../support/plants.ts";
import { freshDatabase } from "../support/server.ts";

const PATIENCE = 900_000;

test(
  "nothing leaks to anybody: the whole of brain leak-check",
  async () => {
    const database = await freshDatabase();
    const { findings, phases } = await checkLeaks(database);
    await database.drop();
    console.log(
      phases.map(({ phase, requests, bytes }) => `${phase}: ${requests} requests, ${bytes} bytes`).join("\n"),
    );
    expect(findings).toEqual([]);
  },
  PATIENCE,
);

findsEach(MORE_PLANTS);
