import { readdirSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { join } from "node:path";

/** The processes of an embedded server, found by the folder of its cluster: they work in it. */

/** Whether a process is this cluster's server, and alive: a zombie works nowhere. */
export const isServer = (folder: string, pid: number) =>
  process.platform === "linux" ? linkOf(`/proc/${pid}/cwd`) === realpathSync(folder) : signal(pid, 0);

/** All of them, the backends too. Elsewhere than on Linux, the one of the pid file. */
export function serverProcesses(folder: string): number[] {
  if (process.platform !== "linux") {
    const { pid } = readPidFile(folder) ?? {};
    return pid && signal(pid, 0) ? [pid] : [];
  }
  const real = realpathSync(folder);
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && linkOf(`/proc/${name}/cwd`) === real)
    .filter((name) => /\/postgres( \(deleted\))?$/.test(linkOf(`/proc/${name}/exe`)))
    .map(Number);
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ""; // gone meanwhile, or another user's
  }
}

/** Sends a signal; 0 only asks. False where there is no such process, or it is not ours to signal. */
export function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

/** Lines 1, 4 and 8 of postmaster.pid: pid, port, status. Undefined while there is none. */
export function readPidFile(folder: string): { pid: number; port: number; is_ready: boolean } | undefined {
  try {
    const lines = readFileSync(join(folder, "postmaster.pid"), "utf8").split("\n");
    return { pid: Number(lines[0]), port: Number(lines[3]), is_ready: lines[7]?.trim() === "ready" };
  } catch {
    return undefined;
  }
}
