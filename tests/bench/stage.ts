import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { SCOPES } from "../../src/auth/scopes.ts";
import { mintToken, tokenVerifier } from "../../src/auth/tokens.ts";
import { loadConfig } from "../../src/config.ts";
import { openEmbedded } from "../../src/embedded/database.ts";
import { migrateDatabase } from "../../src/ops/migrate.ts";
import { temporaryFolder } from "../support/folder.ts";
import { freePort } from "../support/processes.ts";
import type { BareTask, BareUrls } from "./bare.ts";

const ROOT = join(import.meta.dir, "../..");

/** Processor seconds and resident bytes of a process, since it started and just now. */
export interface Usage {
  readonly cpu_seconds: number;
  readonly rss: number;
}

export type Stage = Awaited<ReturnType<typeof openStage>>;
export type Served = Awaited<ReturnType<Stage["serve"]>>;

/** A server of its own with fsync, a migrated database, and the service as a process, as in production; gone at the end. */
export async function openStage() {
  const folder = temporaryFolder();
  const embedded = await openEmbedded(folder.path);
  const { server, database_url, owner_database_url } = embedded;
  await migrateDatabase(owner_database_url);
  const settings = { ...loadConfig({}), jwt_secret: server.secrets.jwt_secret };
  const owner = postgres(owner_database_url, { max: 2, onnotice: () => {} });
  const [backend] = await owner<{ pid: number }[]>`select pg_backend_pid() as pid`;
  const postmaster = backend && statOf(backend.pid)?.parent;
  const children: Bun.Subprocess[] = [];
  let services = 0;

  return {
    ...embedded,
    settings,
    owner,
    folder: folder.path,

    /** Processor seconds of PostgreSQL's processes that run now; 0 where there is no /proc. */
    databaseCpu: () =>
      (existsSync("/proc") ? readdirSync("/proc") : [])
        .map((name) => statOf(Number(name)))
        .filter((stat) => stat?.parent === postmaster)
        .reduce((sum, stat) => sum + (stat?.cpu_seconds ?? 0), 0),

    /** The headers of a user with all scopes. */
    async headers(org: string, sub: string, grants: string[] = []) {
      const { token } = await mintToken(settings, { org, sub, grants, scopes: SCOPES, days: 1 });
      return { authorization: `Bearer ${token}`, "content-type": "application/json" };
    },
    identity: async (headers: { authorization: string }) => (await tokenVerifier(settings))(headers.authorization),

    /**
     * Starts `brain serve`, its log into a file; `start_ms` is the time to its first 200. `usage` reads its metrics.
     * Under the limits of the bench, so that none of its callers meets them.
     */
    async serve(env: Record<string, string> = {}) {
      const port = freePort();
      const url = `http://127.0.0.1:${port}`;
      const log = Bun.file(join(folder.path, `serve-${++services}.log`));
      const started = performance.now();
      const { BRAIN_PROFILE } = process.env;
      const flags = BRAIN_PROFILE ? ["--cpu-prof", `--cpu-prof-dir=${BRAIN_PROFILE}`] : [];
      const child = Bun.spawn([process.execPath, ...flags, "src/cli/brain.ts", "serve"], {
        cwd: ROOT,
        env: {
          PATH: process.env.PATH ?? "",
          HOME: process.env.HOME ?? "/",
          PORT: String(port),
          BRAIN_DATA_DIR: folder.path,
          DATABASE_URL: database_url,
          JWT_SECRET_KEY: settings.jwt_secret,
          RATE_LIMIT_RPM: "10000000",
          RATE_LIMIT_BURST: "10000000",
          ...env,
        },
        stdio: ["ignore", "ignore", log],
      });
      children.push(child);
      while (!(await fetch(`${url}/health/ready`).catch(() => null))?.ok) {
        if (child.exitCode !== null) throw new Error(`serve ended: ${await log.text()}`);
        await Bun.sleep(2);
      }
      return {
        url,
        start_ms: performance.now() - started,
        async usage(): Promise<Usage> {
          const text = await (await fetch(`${url}/metrics`)).text();
          const read = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
          return { cpu_seconds: read("process_cpu_seconds"), rss: read("process_resident_memory_bytes") };
        },
        async stop() {
          child.kill("SIGTERM");
          await child.exited;
        },
      };
    },

    /** Starts the bare servers that set the ceilings. */
    async bare(task: Omit<BareTask, "url" | "settings">) {
      const ready = Promise.withResolvers<BareUrls>();
      const child = Bun.spawn([process.execPath, join(import.meta.dir, "bare.ts")], {
        stdio: ["ignore", "inherit", "inherit"],
        ipc: ready.resolve,
        onExit: (_child, code) => ready.reject(new Error(`the bare server ended with ${code}`)),
      });
      children.push(child);
      child.send({ ...task, url: database_url, settings });
      const urls = await ready.promise;
      return {
        ...urls,
        async usage(): Promise<Usage> {
          const { cpu, rss } = (await (await fetch(`${urls.http}/usage`)).json()) as BareUsage;
          return { cpu_seconds: (cpu.user + cpu.system) / 1e6, rss };
        },
      };
    },

    async close() {
      for (const child of children) child.kill("SIGTERM");
      await Promise.all(children.map(({ exited }) => exited));
      await owner.end();
      await server.stop();
      folder[Symbol.dispose]();
    },
  };
}

const TICKS_A_SECOND = 100;

/** Parent and processor seconds of a process, as Linux tells them; null where it does not. */
function statOf(pid: number) {
  const file = `/proc/${pid}/stat`;
  if (!pid || !existsSync(file)) return null;
  try {
    const [, parent, ...fields] = readFileSync(file, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return { parent: Number(parent), cpu_seconds: (Number(fields[9]) + Number(fields[10])) / TICKS_A_SECOND };
  } catch {
    return null; // it has ended meanwhile
  }
}

interface BareUsage {
  cpu: NodeJS.CpuUsage;
  rss: number;
}
