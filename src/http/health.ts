import { Elysia, t } from "elysia";
import type { Database } from "../db.ts";
import { milliseconds } from "../log.ts";
import { Problem } from "../problem.ts";
import { closed } from "../schema.ts";
import { VERSION } from "../version.ts";

const Live = t.Object({ status: t.Literal("ok"), version: t.String() }, closed);
const Ready = t.Object({ status: t.Literal("ok"), migration: t.String() }, closed);
const Dependency = t.Object(
  { name: t.String(), status: t.Union([t.Literal("ok"), t.Literal("down")]), took_ms: t.Number() },
  closed,
);
const Dependencies = t.Object({ dependencies: t.Array(Dependency) }, closed);

/** Public. `newest` is the newest migration this release knows. */
export const healthRoutes = (database: Database, newest: string) =>
  new Elysia({ name: "health", prefix: "/health", normalize: false })
    .get("/live", () => ({ status: "ok" as const, version: VERSION }), {
      response: { 200: Live },
      detail: { summary: "The process runs", tags: ["operations"] },
    })
    .get("/ready", async () => ({ status: "ok" as const, migration: await readyMigration(database, newest) }), {
      response: { 200: Ready },
      detail: {
        summary: "Requests can be served: the database answers and has this release's schema",
        tags: ["operations"],
      },
    })
    .get("/deps", async () => ({ dependencies: [await probe("postgresql", () => database.schemaState())] }), {
      response: { 200: Dependencies },
      detail: { summary: "What it needs, and how each is", tags: ["operations"] },
    });

/** The newest migration, once the database has it and nothing else. Throws UNAVAILABLE with the reason. */
export async function readyMigration(database: Database, newest: string): Promise<string> {
  const { migration, has_drifted } = await database.schemaState();
  if (migration === newest && !has_drifted) return newest;
  const detail =
    migration === newest
      ? "The schema was changed since the last migration; `brain status` tells what."
      : migration !== null && migration > newest
        ? "The database has a newer schema than this release knows."
        : "The database lacks migrations of this release; run `brain migrate`.";
  throw new Problem("UNAVAILABLE", detail, { headers: { "retry-after": "5" } });
}

async function probe(name: string, ask: () => Promise<unknown>) {
  const started = performance.now();
  // Down is an answer here; why it is down is for the log, at the request that needed it.
  const status = await ask().then(
    () => "ok" as const,
    () => "down" as const,
  );
  return { name, status, took_ms: milliseconds(started) };
}
