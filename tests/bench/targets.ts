import type { Figures } from "./ceiling.ts";
import { type Measured, middle, type Times } from "./interleaved.ts";
import { table, writeSection } from "./report.ts";

/** PostGraphile 5 with a JWT against C1h, of one run on a machine of this kind: requests a second. */
const POSTGRAPHILE = { get: 1576 / 4896, list: 1499 / 3742 };

interface Target {
  readonly what: string;
  readonly target: string;
  readonly got: string;
  readonly is_met: boolean;
}

/** Prints what was measured, against what it should be, as tables and as JSON; with WRITE=1 writes the section. */
export function report(times: Times, figures: Figures) {
  const targets = targetsOf(figures);
  const measured = Object.entries(figures).flatMap(([, of]) => (Array.isArray(of) ? of.filter(isMeasured) : []));
  const text = `\`bun run bench\`: the service as a process (\`brain serve\`, its log to a file), PostgreSQL with fsync, closed-loop callers in a process of their own, all on one machine of ${navigator.hardwareConcurrency} cores. Slices of ${times.seconds} s take turns, ${times.rounds} of each after one that does not count; ratios are of requests a second.

- C1: the statements the service sends, sent again by a bare postgres.js loop in the same transaction, each when the one before it is answered, as many connections as callers.
- C1h: the same behind a bare \`Bun.serve\` route, 16 connections; no token, no validation.
- C2: a bare Elysia route with the same check of the token that answers the same JSON; no database.
- C3: the same row inserted and committed, one statement, into a table with its key and nothing else.
- PostGraphile 5 with a JWT is not installed here: it did 1,576 get/s and 1,499 list/s in a run in which C1h did 4,896 and 3,742, so a ratio to C1h tells the ratio to it.

${table(
  ["path", "target", "measured", ""],
  targets.map(({ what, target, got, is_met }) => [what, target, got, is_met ? "met" : "**not met**"]),
)}

${measuredTable(measured)}

CPU: ms a request, of the process that answers, of PostgreSQL, of the callers; what C1 and C3 send, the callers send.`;
  if (process.env.WRITE) writeSection("The ceiling", text);
  else console.log(text);
  console.log(JSON.stringify({ times, targets, ...figures }));
}

/** What was measured, a line each. */
export const measuredTable = (measured: readonly Measured[]) =>
  table(
    ["what", "callers", "requests/s", "p50 ms", "p95 ms", "p99 ms", "CPU: service", "database", "callers", "RSS MB"],
    measured.map(({ name, callers, per_second, p50, p95, p99, cpu_ms, rss_mb }) => [
      name,
      callers,
      Math.round(per_second),
      ...[p50, p95, p99, cpu_ms.service, cpu_ms.database, cpu_ms.callers].map((ms) => ms.toFixed(2)),
      Math.round(rss_mb),
    ]),
  );

const isMeasured = (one: object): one is Measured => "per_second" in one;

function targetsOf(figures: Figures): Target[] {
  const { gets, lists, writes, busy_writes, crowd, fixed, pooled, trips, starts } = figures;
  const get = (of: Measured[], name: string): Measured => {
    const found = of.find((one) => one.name === name);
    if (!found) throw new Error(`${name} was not measured`);
    return found;
  };
  const ratio = (of: Measured[], name: string, to: string) => get(of, name).per_second / get(of, to).per_second;
  const atLeast = (what: string, least: number, got: number): Target => ({
    what,
    target: `at least ${least}`,
    got: got.toFixed(2),
    is_met: got >= least,
  });
  const below = (what: string, most: number, got: number, unit: string): Target => ({
    what,
    target: `under ${most} ${unit}`,
    got: `${got.toFixed(1)} ${unit}`,
    is_met: got < most,
  });
  const get_ratio = ratio(gets, "REST get", "C1h get");
  const list_ratio = ratio(lists, "REST list", "C1h list");
  const [peak, past] = crowd;
  if (!peak || !past) throw new Error("the crowd was not measured");
  const share = past.per_second / peak.per_second;
  const others = Object.keys(past.statuses).filter((status) => status !== "200" && status !== "503");
  const price = pooled.length
    ? ["REST get", "REST list", "REST create"].map(
        (name): Target => ({
          what: `${name} through pgbouncer, to direct`,
          target: "told",
          got: ratio(pooled, `${name}, pgbouncer`, name).toFixed(2),
          is_met: true,
        }),
      )
    : [];

  return [
    atLeast("REST get, 16 callers, to C1h", 0.85, get_ratio),
    atLeast("REST get, to PostGraphile's ratio", 2.5, get_ratio / POSTGRAPHILE.get),
    atLeast("REST list of 20, 16 callers, to C1h", 0.85, list_ratio),
    atLeast("REST list of 20, to PostGraphile's ratio", 2.5, list_ratio / POSTGRAPHILE.list),
    atLeast("REST create, 4 callers, to C3", 0.5, ratio(writes, "REST create", "C3 insert")),
    below("REST create, 4 callers, p50", 5, get(writes, "REST create").p50, "ms"),
    atLeast("REST create, 16 callers, to C3", 0.5, ratio(busy_writes, "REST create", "C3 insert")),
    atLeast("MCP get_memory, to REST get", 0.6, ratio(gets, "MCP get_memory", "REST get")),
    atLeast("batch of 100, rows to those of single writes", 8, 100 * ratio(writes, "REST batch of 100", "REST create")),
    below("legacy stream, p50 beyond HTTP's", 2, trips.sse.p50 - trips.http.p50, "ms"),
    below("start to the first 200", 400, middle(starts.map(({ ms }) => ms)), "ms"),
    below("RSS when idle", 150, middle(starts.map(({ rss_mb }) => rss_mb)), "MB"),
    atLeast("64 callers, to 16", 0.85, share),
    {
      what: "64 callers: answers that are neither 200 nor 503 with Retry-After, or another's",
      target: "0",
      got: String(
        past.wrong + past.unexplained + others.reduce((sum, status) => sum + (past.statuses[status] ?? 0), 0),
      ),
      is_met: past.wrong + past.unexplained + others.length === 0,
    },
    below("tools/list, CPU", 2, get(fixed, "MCP tools/list").cpu_ms.service, "ms"),
    below("openapi.json, CPU", 1, get(fixed, "openapi.json").cpu_ms.service, "ms"),
    ...price,
  ];
}
