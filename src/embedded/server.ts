import { type SpawnOptions, spawn, spawnSync } from "node:child_process";
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Log } from "../log.ts";
import { messageOf, Refusal } from "../refusal.ts";
import { binariesIn } from "./binaries.ts";
import { tryLock } from "./lock.ts";
import { placeFor, type ServerUser } from "./place.ts";
import { isServer, readPidFile, serverProcesses, signal } from "./processes.ts";
import { loadSecrets, SECRETS_FILE, type Secrets } from "./secrets.ts";

/** A running embedded PostgreSQL. */
export interface EmbeddedServer {
  readonly secrets: Secrets;
  /** URL of a database of this server for a role. */
  url(role: string, password: string, database: string): string;
  /** False where another process of ours runs the server and this one only uses it. */
  readonly is_ours: boolean;
  /** From now on, a server of ours that ends by itself (`kill -9`, out of memory) is started again, on its port. */
  keepRunning(log: Log): void;
  /** Stops the server, if it is ours, once every connection has been cut and everything answered is on disk. */
  stop(): Promise<void>;
}

export const SUPERUSER = "brain_superuser";

interface Options {
  /** One line for the person at the terminal. */
  say?: (line: string) => void;
  /** Only for data nobody will miss: tests. */
  is_throwaway?: boolean;
}

/**
 * Starts the PostgreSQL of a data directory, or joins it where it runs: after `kill -9` of the process that started it
 * as after a start by another process of ours. Throws a Refusal with one sentence where that cannot be.
 */
export async function startServer(
  data_dir: string,
  { say = () => {}, is_throwaway = false }: Options = {},
): Promise<EmbeddedServer> {
  const { place, user } = placeFor(data_dir, say);
  const cluster: Cluster = { folder: join(place, "postgres"), log: join(place, "postgres.log"), is_throwaway, user };
  const lock = tryLock(join(data_dir, "lock"));
  try {
    if (existsSync(cluster.folder) && !existsSync(join(data_dir, SECRETS_FILE)))
      throw new Refusal(
        "bad_config",
        `${data_dir} has a database but no ${SECRETS_FILE}, which holds its passwords; put it back.`,
      );
    const secrets = loadSecrets(data_dir);
    if (!(lock ? await runningServer(cluster) : await serverOfAnother(cluster))) {
      if (!lock)
        throw new Refusal("data_dir_held", `Another brain command uses ${data_dir}, and its database is not running.`);
      const { initdb, postgres, major } = binariesIn(place);
      if (!existsSync(cluster.folder)) createCluster(cluster, initdb, secrets.superuser_password);
      expectVersion(cluster, major);
      await clearRemains(cluster);
      await startIn(cluster, postgres, freePort());
    }
    return serverOf(cluster, secrets, lock);
  } catch (error) {
    lock?.release();
    throw error;
  }
}

/** The server of a data directory if one runs that another process of ours has started; else null. Starts nothing. */
export function joinServer(data_dir: string): EmbeddedServer | null {
  if (!existsSync(join(data_dir, SECRETS_FILE))) return null;
  const { place, user } = placeFor(data_dir, () => {});
  const cluster: Cluster = {
    folder: join(place, "postgres"),
    log: join(place, "postgres.log"),
    is_throwaway: false,
    user,
  };
  const { pid } = readPidFile(cluster.folder) ?? {};
  return pid && serverProcesses(cluster.folder).includes(pid) ? serverOf(cluster, loadSecrets(data_dir), null) : null;
}

function serverOf(cluster: Cluster, secrets: Secrets, lock: ReturnType<typeof tryLock>): EmbeddedServer {
  const { port } = readPidFile(cluster.folder) ?? {};
  if (!port) throw new Refusal("database_unreachable", "The embedded PostgreSQL went away while it was starting.");
  let watch: Timer | undefined;
  let reviving: Promise<void> | undefined;
  return {
    secrets,
    url: (role, password, database) => `postgres://${role}:${password}@127.0.0.1:${port}/${database}`,
    is_ours: lock !== null,
    keepRunning(log) {
      if (!lock) return;
      watch = setInterval(() => {
        reviving ??= revive(cluster, port, log).finally(() => {
          reviving = undefined;
        });
      }, WATCH_MS);
    },
    async stop() {
      if (!lock) return;
      clearInterval(watch);
      await reviving;
      await stopIn(cluster);
      lock.release();
    },
  };
}

const WATCH_MS = 500;

/** Starts the server again where it has gone. Tells the log, whether it worked or not, and throws nothing. */
async function revive(cluster: Cluster, port: number, log: Log) {
  const { pid } = readPidFile(cluster.folder) ?? {};
  if (pid && isServer(cluster.folder, pid)) return;
  try {
    await clearRemains(cluster);
    // On its port and no other, where the pool looks for it; taken for a moment, it is tried again.
    await startIn(cluster, binariesIn(dirname(cluster.folder)).postgres, port, 1);
    log("warn", "the database had ended and was started again");
  } catch (error) {
    log("error", "the database has ended and does not start again", { cause: messageOf(error) });
  }
}

/** A cluster of another major version is for that version's programs. Throws a Refusal. */
function expectVersion({ folder }: Cluster, major: string) {
  const made_by = readFileSync(join(folder, "PG_VERSION"), "utf8").trim();
  if (made_by === major) return;
  throw new Refusal(
    "newer_version",
    `The database in ${folder} was made by PostgreSQL ${made_by}, and this release brings ${major}. Use the release that made it.`,
  );
}

interface Cluster {
  folder: string;
  log: string;
  is_throwaway: boolean;
  user: ServerUser | undefined;
}

/** No variable of the user's reaches the server: PG*, LD_LIBRARY_PATH, an unknown locale or time zone. */
const spawnOptions = ({ user }: Cluster): SpawnOptions => ({
  cwd: "/",
  env: { PATH: process.env.PATH ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC", HOME: "/" },
  ...user,
});

/** Made under another name and moved when whole, so that a start that is killed leaves nothing half made. */
function createCluster(cluster: Cluster, initdb: string, password: string) {
  const unfinished = `${cluster.folder}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { mode: 0o700 });
  const password_file = join(unfinished, "password");
  writeFileSync(password_file, password, { mode: 0o600 });
  if (cluster.user) for (const path of [unfinished, password_file]) chownSync(path, cluster.user.uid, cluster.user.gid);

  const made = spawnSync(
    initdb,
    [
      `--pgdata=${join(unfinished, "data")}`,
      `--username=${SUPERUSER}`,
      `--pwfile=${password_file}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      "--locale-provider=builtin",
      "--builtin-locale=C.UTF-8",
      "--locale=C",
      "--no-instructions",
      ...(cluster.is_throwaway ? ["--no-sync"] : []),
    ],
    { ...spawnOptions(cluster), encoding: "utf8" },
  );
  if (made.status !== 0) throw new Error(`initdb failed: ${made.error?.message ?? made.stderr.trim()}`);
  renameSync(join(unfinished, "data"), cluster.folder);
  rmSync(unfinished, { recursive: true });
}

/** Nothing is kept for a crash or for a replica, nobody tidies up, and passwords are of random letters. */
const THROWAWAY = [
  "fsync=off",
  "synchronous_commit=off",
  "full_page_writes=off",
  "wal_level=minimal",
  "max_wal_senders=0",
  "autovacuum=off",
  "scram_iterations=1",
];

const TRIES = 5;

/** Starts the server on a port, or another if that is taken; apart from our process group: Ctrl-C is ours to handle. */
async function startIn(cluster: Cluster, postgres: string, port: number, tries = TRIES): Promise<void> {
  const log = openSync(cluster.log, "a", 0o600);
  const settings = [
    "listen_addresses=127.0.0.1",
    `port=${port}`,
    "unix_socket_directories=",
    "lc_messages=C",
    "max_connections=100",
    ...(cluster.is_throwaway ? THROWAWAY : []),
  ];
  const server = spawn(postgres, ["-D", cluster.folder, ...settings.flatMap((setting) => ["-c", setting])], {
    ...spawnOptions(cluster),
    detached: true,
    stdio: ["ignore", log, log],
  });
  let ended: string | undefined;
  server.on("error", (error) => (ended = error.message));
  server.on("exit", (code) => (ended ??= `exit code ${code}`));
  closeSync(log);
  server.unref();

  await until(
    60,
    () =>
      ended !== undefined || (readPidFile(cluster.folder)?.pid === server.pid && readPidFile(cluster.folder)?.is_ready),
  );
  if (ended === undefined && readPidFile(cluster.folder)?.is_ready) return;
  if (tries > 1 && /could not bind|could not create any TCP/.test(lastLines(cluster)))
    return startIn(cluster, postgres, freePort(), tries - 1);
  throw new Refusal(
    "database_unreachable",
    `The embedded PostgreSQL did not start (${ended ?? "not ready after 60 s"}).\n${lastLines(cluster)}`,
  );
}

const lastLines = ({ log }: Cluster) => readFileSync(log, "utf8").trimEnd().split("\n").slice(-5).join("\n");

/** Fast shutdown. The pid file tells the end: after a join the server is not our child, and may stay a zombie. */
async function stopIn(cluster: Cluster) {
  const { pid } = readPidFile(cluster.folder) ?? {};
  if (!pid || !serverProcesses(cluster.folder).includes(pid)) return clearRemains(cluster); // killed meanwhile
  signal(pid, "SIGINT");
  if (!(await until(30, () => !existsSync(join(cluster.folder, "postmaster.pid"))))) signal(pid, "SIGQUIT");
}

/** The server of this cluster, if it runs; a starting one is waited for. */
async function runningServer(cluster: Cluster): Promise<boolean> {
  const { pid } = readPidFile(cluster.folder) ?? {};
  if (!pid || !serverProcesses(cluster.folder).includes(pid)) return false;
  return until(60, () => readPidFile(cluster.folder)?.is_ready === true);
}

/** The server that another process of ours is running or just starting. */
const serverOfAnother = (cluster: Cluster) => until(20, () => readPidFile(cluster.folder)?.is_ready === true);

/** What a killed server leaves: backends at work that keep its memory in use, and a pid file that may name a stranger. */
async function clearRemains(cluster: Cluster) {
  if (!existsSync(cluster.folder)) return;
  const isClear = () => serverProcesses(cluster.folder).length === 0;
  for (const name of ["SIGQUIT", "SIGKILL"] as const) {
    for (const pid of serverProcesses(cluster.folder)) signal(pid, name);
    if (await until(2, isClear)) break; // a stopped process minds SIGKILL only
  }
  rmSync(join(cluster.folder, "postmaster.pid"), { force: true });
}

function freePort(): number {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop(true);
  return port;
}

/** Waits for a condition, looking every 10 ms; false after the seconds. */
async function until(seconds: number, condition: () => boolean | undefined): Promise<boolean> {
  const deadline = Date.now() + seconds * 1000;
  while (!condition()) {
    if (Date.now() > deadline) return false;
    await Bun.sleep(10);
  }
  return true;
}
