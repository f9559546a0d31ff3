import type { Callers, Load, Slice } from "./load.ts";
import type { Usage } from "./stage.ts";

/** Something to measure beside others. */
export interface Contender {
  readonly name: string;
  readonly load: Load;
  /** Of the process that answers; absent where the callers are all there is. */
  readonly usage?: () => Promise<Usage>;
}

/** What a contender came to over all its slices. Times in ms, the middle of the slices' own. */
export interface Measured {
  readonly name: string;
  readonly callers: number;
  readonly per_second: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  /** Processor ms a request, of each that has a part in it; of SQL the callers are all there is beside the database. */
  readonly cpu_ms: { readonly service: number; readonly database: number; readonly callers: number };
  /** Of the answering process, at the end. */
  readonly rss_mb: number;
  readonly statuses: Record<string, number>;
  readonly wrong: number;
  readonly unexplained: number;
}

/** How long each slice runs, in seconds, and how many of each there are. */
export interface Times {
  readonly seconds: number;
  readonly rounds: number;
}

/**
 * Measures contenders in slices that take turns, so that what the machine does meanwhile hits all of them. A first round,
 * to warm up, does not count.
 */
export async function measure(
  { callers, databaseCpu }: { callers: Callers; databaseCpu: () => number },
  contenders: Contender[],
  { seconds, rounds }: Times,
) {
  const told = contenders.map((contender) => ({ contender, slices: [] as Slice[], service: 0, database: 0, rss: 0 }));
  for (let round = 0; round <= rounds; round++)
    for (const one of told) {
      const { load, usage } = one.contender;
      const before = await usage?.();
      const database = databaseCpu();
      const slice = await callers.run(load, seconds);
      const worked = databaseCpu() - database;
      const after = await usage?.();
      if (round === 0) continue;
      one.slices.push(slice);
      one.database += worked;
      one.service += (after?.cpu_seconds ?? 0) - (before?.cpu_seconds ?? 0);
      one.rss = after?.rss ?? 0;
    }
  return told.map(({ contender, slices, service, database, rss }): Measured => {
    const requests = sum(slices, (slice) => slice.requests);
    const statuses: Record<string, number> = {};
    for (const slice of slices)
      for (const [status, count] of Object.entries(slice.statuses)) statuses[status] = (statuses[status] ?? 0) + count;
    return {
      name: contender.name,
      callers: contender.load.callers,
      per_second: requests / sum(slices, (slice) => slice.seconds),
      p50: middle(slices.map(({ p50 }) => p50)),
      p95: middle(slices.map(({ p95 }) => p95)),
      p99: middle(slices.map(({ p99 }) => p99)),
      cpu_ms: {
        service: (service * 1000) / requests,
        database: (database * 1000) / requests,
        callers: (sum(slices, (slice) => slice.cpu_seconds) * 1000) / requests,
      },
      rss_mb: rss / 2 ** 20,
      statuses,
      wrong: sum(slices, (slice) => slice.wrong),
      unexplained: sum(slices, (slice) => slice.unexplained),
    };
  });
}

const sum = <T>(of: readonly T[], read: (one: T) => number) => of.reduce((total, one) => total + read(one), 0);

/** The one in the middle; of an even number the lower of both. */
export const middle = (values: readonly number[]) =>
  values.toSorted((one, other) => one - other)[Math.floor((values.length - 1) / 2)] ?? Number.NaN;
