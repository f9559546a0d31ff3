import { PGBOUNCER, startPgbouncer } from "../support/pgbouncer.ts";
import { CROWD, casesOf } from "./cases.ts";
import { type Contender, type Measured, measure, type Times } from "./interleaved.ts";
import { startCallers } from "./load.ts";
import { sseAgainstHttp } from "./round_trips.ts";
import { openStage, type Stage } from "./stage.ts";
import { measuredTable, report } from "./targets.ts";

const STARTS = 5;

/** All that was measured. */
export interface Figures {
  readonly starts: readonly { ms: number; rss_mb: number }[];
  readonly gets: Measured[];
  readonly lists: Measured[];
  readonly writes: Measured[];
  readonly busy_writes: Measured[];
  readonly crowd: Measured[];
  readonly fixed: Measured[];
  readonly pooled: Measured[];
  readonly trips: Awaited<ReturnType<typeof sseAgainstHttp>>;
}

/**
 * The service against what this machine could do at most, measured in the same minutes by the same callers. Prints
 * tables and JSON; with WRITE=1 writes its section.
 */
export async function benchCeiling(times: Times) {
  const stage = await openStage();
  const callers = startCallers();
  try {
    const starts = await timedStarts(stage);
    const service = await stage.serve();
    const { ceilings, productAt, ids, headers } = await casesOf(stage, service);
    const run = (cases: Record<string, Omit<Contender, "name">>, names: string[], at: number) => {
      console.error(`${new Date().toISOString()} ${names.join(", ")} at ${at}`);
      return measure(
        { callers, databaseCpu: stage.databaseCpu },
        names.map((name) => named(cases, name, at)),
        times,
      );
    };
    const all = { ...ceilings, ...productAt(service) };
    const gets = await run(all, ["C1 get", "C1h get", "C2 get", "REST get", "MCP get_memory"], 16);
    const lists = await run(all, ["C1 list", "C1h list", "C2 list", "REST list"], 16);
    const crowd = [
      ...(await run(all, ["REST get, a user each"], 16)),
      ...(await run(all, ["REST get, a user each"], CROWD)),
    ];
    const fixed = await run(all, ["MCP tools/list", "openapi.json"], 16);
    const trips = await sseAgainstHttp(service.url, headers, ids);
    const pooled = await throughPooler(stage, all, productAt, run);
    const writes = await run(all, ["C3 insert", "REST create", "REST batch of 100"], 4);
    const busy_writes = await run(all, ["C3 insert", "REST create"], 16);
    report(times, { starts, gets, lists, writes, busy_writes, crowd, fixed, pooled, trips });
  } finally {
    await callers.stop();
    await stage.close();
  }
}

/** Some of what the whole run measures, side by side, at so many callers: to profile by. Prints a table. */
export async function benchCompare(names: string[], { at, ...times }: Times & { at: number }) {
  const stage = await openStage();
  const callers = startCallers();
  try {
    const service = await stage.serve();
    const { ceilings, productAt } = await casesOf(stage, service);
    const all = { ...ceilings, ...productAt(service) };
    const contenders = names.map((name) => named(all, name, at));
    console.log(measuredTable(await measure({ callers, databaseCpu: stage.databaseCpu }, contenders, times)));
    await service.stop();
  } finally {
    await callers.stop();
    await stage.close();
  }
}

type Cases = Record<string, Omit<Contender, "name">>;

function named(cases: Cases, name: string, at: number): Contender {
  const contender = cases[name];
  if (!contender) throw new Error(`there is no ${name}`);
  return { ...contender, name, load: { ...contender.load, callers: at } };
}

/** Milliseconds from the start of the command to its first 200, and its resident size a second later. */
async function timedStarts(stage: Stage) {
  const starts: { ms: number; rss_mb: number }[] = [];
  for (let time = 0; time < STARTS; time++) {
    const one = await stage.serve();
    await Bun.sleep(1000);
    starts.push({ ms: one.start_ms, rss_mb: (await one.usage()).rss / 2 ** 20 });
    await one.stop();
  }
  return starts;
}

/** The same reads and writes by a second service, behind a pgbouncer that has as many connections as the first has. */
async function throughPooler(
  stage: Stage,
  direct: Cases,
  productAt: (service: Awaited<ReturnType<Stage["serve"]>>) => Cases,
  run: (cases: Cases, names: string[], at: number) => Promise<Measured[]>,
): Promise<Measured[]> {
  if (!PGBOUNCER) return [];
  await using pgbouncer = await startPgbouncer(stage.database_url, { pool_size: 10 });
  const service = await stage.serve({
    DATABASE_URL: pgbouncer.url,
    DATABASE_PREPARE: "false",
    LISTEN_DATABASE_URL: stage.database_url,
  });
  const cases = Object.fromEntries(
    Object.entries(productAt(service)).map(([name, one]) => [`${name}, pgbouncer`, one]),
  );
  const names = ["REST get", "REST list", "REST create"];
  const measured = await run(
    { ...direct, ...cases },
    names.flatMap((name) => [name, `${name}, pgbouncer`]),
    16,
  );
  await service.stop();
  return measured;
}
