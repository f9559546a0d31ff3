import type { HttpRequest, Load, Slice, Task } from "./load.ts";
import { quantile } from "./report.ts";
import { openReplay, type Replay } from "./statements.ts";

/** A process of callers, for load.ts: takes a task, runs it, answers with what it came to. */
let made = 0;
const unique = () => `${process.pid.toString(36)}-${(made++).toString(36)}`;

const statuses: Record<string, number> = {};
let wrong = 0;
let unexplained = 0;

async function send({ url, method = "GET", headers, body, holds }: HttpRequest) {
  const response = await fetch(url, {
    method,
    headers,
    ...(body !== undefined && { body: body.replaceAll("{n}", unique) }),
  });
  const text = await response.text();
  statuses[response.status] = (statuses[response.status] ?? 0) + 1;
  if (response.status === 503 && !response.headers.has("retry-after")) unexplained++;
  if (response.ok && !text.includes(holds)) {
    if (wrong++ === 0) console.error(`not as it must be: ${url} was answered ${text.slice(0, 300)}`);
  } else if (!response.ok && statuses[response.status] === 1)
    console.error(`${url} was answered ${response.status} ${text.slice(0, 300)}`);
}

const pools = new Map<string, Replay>();

function turnOf(load: Load): (turn: number) => Promise<void> {
  if (load.kind === "http") {
    const { requests } = load;
    return async (turn) => {
      const request = requests[turn % requests.length];
      if (request) await send(request);
    };
  }
  const name = `${load.url} ${load.callers}`;
  const pool = pools.get(name) ?? openReplay(load.url, load.callers);
  pools.set(name, pool);
  const { transactions } = load;
  return async (turn) => {
    const transaction = transactions[turn % transactions.length];
    if (transaction) await pool.run(transaction);
  };
}

async function run({ load, seconds }: Task): Promise<Slice> {
  const times: number[] = [];
  for (const status of Object.keys(statuses)) delete statuses[status];
  wrong = unexplained = 0;
  const turn = turnOf(load);
  const cpu = process.cpuUsage();
  const started = performance.now();
  const until = started + seconds * 1000;
  await Promise.all(
    Array.from({ length: load.callers }, async (_, caller) => {
      for (let at = caller; performance.now() < until; at += load.callers) {
        const began = performance.now();
        await turn(at);
        times.push(performance.now() - began);
      }
    }),
  );
  const { user, system } = process.cpuUsage(cpu);
  return {
    cpu_seconds: (user + system) / 1e6,
    requests: times.length,
    seconds: (performance.now() - started) / 1000,
    p50: quantile(times, 0.5),
    p95: quantile(times, 0.95),
    p99: quantile(times, 0.99),
    statuses: { ...statuses },
    wrong,
    unexplained,
  };
}

process.on("message", (task: Task) => void run(task).then((slice) => process.send?.(slice)));
