import { join } from "node:path";

const ROOT = join(import.meta.dir, "../..");

/** The environment of a command: only what is named, none of the variables of whoever runs the tests. */
const environment = (env: Record<string, string>) => ({
  PATH: process.env.PATH ?? "",
  HOME: process.env.HOME ?? "/",
  PORT: "0",
  LOG_LEVEL: "warn",
  RATE_LIMIT_RPM: "1000000", // a test is as fast as it can
  RATE_LIMIT_BURST: "1000000",
  ...env,
});

/** Runs `brain` with arguments to its end. */
export async function brain(args: string[], env: Record<string, string> = {}) {
  const command = Bun.spawn([process.execPath, "src/cli/brain.ts", ...args], {
    cwd: ROOT,
    env: environment(env),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [code, out, err] = await Promise.all([
    command.exited,
    new Response(command.stdout).text(),
    new Response(command.stderr).text(),
  ]);
  return { code, out, err };
}

/** Starts `brain`, without waiting for anything. */
export function spawnBrain(args: string[], env: Record<string, string>) {
  return Bun.spawn([process.execPath, "src/cli/brain.ts", ...args], {
    cwd: ROOT,
    env: environment(env),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
}

/** Starts `brain up` and waits until it listens. */
export async function startBrain(args: string[], env: Record<string, string>) {
  const command = spawnBrain(args, env);
  let out = "";
  const decoder = new TextDecoder();
  const reader = command.stdout.getReader();
  while (!out.includes("Ctrl-C stops it.")) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`brain ${args.join(" ")} ended with ${await command.exited}: ${out}`);
    out += decoder.decode(value, { stream: true });
  }
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(out)?.[0] ?? "";
  const token = /Bearer ([\w.-]+)/.exec(out)?.[1] ?? "";
  return { process: command, out, url, token };
}

/** A port nobody listens on just now. */
export function freePort(): number {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop(true);
  return port;
}
