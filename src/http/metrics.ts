import { timingSafeEqual } from "node:crypto";
import { Elysia } from "elysia";
// By their files: the package's own index brings the pushgateway's HTTP client and the gauges of Node along.
import Counter from "prom-client/lib/counter.js";
import Gauge from "prom-client/lib/gauge.js";
import Histogram from "prom-client/lib/histogram.js";
import Registry from "prom-client/lib/registry.js";
import type { Figures } from "../db.ts";
import { notFound, Problem } from "../problem.ts";
import { VERSION } from "../version.ts";
import { isLoopback } from "./client_address.ts";
import { described } from "./described.ts";

export interface MetricsSettings {
  /** Lets who is not on this machine read the metrics; absent: nobody else may. */
  readonly metrics_token: string | undefined;
}

interface Answered {
  method: string;
  /** The pattern; of a path that is none undefined. */
  route: string | undefined;
  status: number;
  ms: number;
}

/** Seconds. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

export type Metrics = ReturnType<typeof openMetrics>;

/**
 * What a process counts, in the text form of Prometheus. Every label has few values: patterns of routes, methods there
 * are, classes of statuses, names of tools, codes of problems; nothing that somebody sends. `figures` and `streams` are
 * asked for when it is read. prom-client's own set is left out: on Bun most of it is zero or no number.
 */
export function openMetrics(figures: () => Figures, streams: () => number) {
  const registry = new Registry();
  const registers = [registry];
  const requests = new Counter({
    name: "http_requests_total",
    help: "Requests answered.",
    labelNames: ["method", "route", "status"],
    registers,
  });
  const request_seconds = new Histogram({
    name: "http_request_duration_seconds",
    help: "Time to the answer; of a stream to its beginning.",
    labelNames: ["method", "route"],
    buckets: BUCKETS,
    registers,
  });
  const tools = new Counter({
    name: "brain_tool_calls_total",
    help: "Calls of MCP tools.",
    labelNames: ["tool", "code"],
    registers,
  });
  const tool_seconds = new Histogram({
    name: "brain_tool_duration_seconds",
    help: "Time to the answer of an MCP tool.",
    labelNames: ["tool"],
    buckets: BUCKETS,
    registers,
  });
  for (const [name, { help, read }] of Object.entries(GAUGES))
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read(figures(), streams()));
      },
    });
  new Gauge({ name: "brain_info", help: "The release.", labelNames: ["version"], registers }).set(
    { version: VERSION },
    1,
  );

  return {
    /** Counts a request that has been answered. */
    answered({ method, route = "unknown", status, ms }: Answered) {
      const known = { method: METHODS.has(method) ? method : "other", route };
      requests.inc({ ...known, status: `${Math.floor(status / 100)}xx` });
      request_seconds.observe(known, ms / 1000);
    },
    /** Counts a call of a tool; the code is OK or a problem's. */
    called(tool: string, code: string, ms: number) {
      tools.inc({ tool, code });
      tool_seconds.observe({ tool }, ms / 1000);
    },
    text: () => registry.metrics(),
    type: registry.contentType,
  };
}

/** Read when the metrics are: nothing keeps them. Counters of the database's own are gauges here for that. */
const GAUGES: Record<string, { help: string; read(figures: Figures, streams: number): number }> = {
  brain_database_transactions: {
    help: "Transactions under way, those that wait for a connection included.",
    read: ({ transactions }) => transactions,
  },
  brain_database_connections_max: { help: "Size of the pool.", read: ({ connections_max }) => connections_max },
  brain_mcp_streams: { help: "Legacy MCP streams this process holds.", read: (_, streams) => streams },
  brain_audit_sealed: { help: "Audit events chained since the start.", read: ({ sealed }) => sealed },
  brain_audit_sealed_timestamp_seconds: {
    help: "When the sealer last got to its end.",
    read: ({ sealed_at }) => sealed_at,
  },
  brain_recalls_waiting: { help: "Recalls to be written down.", read: ({ recalls_waiting }) => recalls_waiting },
  brain_recalls_written: { help: "Recalls written since the start.", read: ({ recalls_written }) => recalls_written },
  brain_recalls_dropped: { help: "Recalls lost since the start.", read: ({ recalls_dropped }) => recalls_dropped },
  brain_purged: { help: "Memories and recalls purged since the start.", read: ({ purged }) => purged },
  brain_purged_timestamp_seconds: { help: "When the purge last got to its end.", read: ({ purged_at }) => purged_at },
  process_resident_memory_bytes: { help: "Memory of the process.", read: () => process.memoryUsage.rss() },
  process_cpu_seconds: { help: "Processor time of the process.", read: () => cpuSeconds() },
  process_start_time_seconds: {
    help: "When the process started.",
    read: () => (Date.now() - performance.now()) / 1000,
  },
};

const cpuSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/** Serves the metrics to this machine, and with the token to others. `peerOf` gives the address a request came from. */
export const metricsRoutes = (
  metrics: Metrics,
  { metrics_token }: MetricsSettings,
  peerOf: (request: Request) => string,
) =>
  new Elysia({ name: "metrics", normalize: false }).get(
    "/metrics",
    async ({ request }) => {
      checkReader(request.headers, peerOf(request), metrics_token);
      return new Response(await metrics.text(), { headers: { "content-type": metrics.type } });
    },
    {
      detail: described({
        summary: "What this process counts, for Prometheus",
        tags: ["operations"],
        "x-answer": "text/plain",
      }),
    },
  );

/** By these a proxy on this machine tells that the request is somebody else's. */
const FORWARDING = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "forwarded", "via"];

/** Throws NOT_FOUND where there is no token, else MISSING_AUTH or INVALID_TOKEN. */
function checkReader(headers: Headers, peer: string, metrics_token: string | undefined) {
  if (isLoopback(peer) && !FORWARDING.some((name) => headers.has(name))) return;
  if (metrics_token === undefined) throw notFound("route");
  const [, given] = /^bearer +(\S+)$/i.exec(headers.get("authorization") ?? "") ?? [];
  if (given === undefined)
    throw new Problem("MISSING_AUTH", "Send the token of METRICS_TOKEN: Authorization: Bearer <token>.");
  if (!timingSafeEqual(digest(given), digest(metrics_token)))
    throw new Problem("INVALID_TOKEN", "The token was not accepted.");
}

const digest = (text: string) => new Bun.CryptoHasher("sha256").update(text).digest();
