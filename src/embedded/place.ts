import { spawnSync } from "node:child_process";
import { accessSync, chmodSync, constants, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { messageOf, Refusal } from "../refusal.ts";

/** Whom the server runs as: PostgreSQL refuses root. Absent: as ourselves. */
export interface ServerUser {
  uid: number;
  gid: number;
}

const SERVER_USER = "coding-brain";
const SHARED_PLACE = "/var/lib/coding-brain";

/**
 * Where the binaries and the cluster of a data directory live, and whose they are. As root the server's own user must
 * be able to enter every folder above; where one is closed to it (`mktemp -d`), a place under /var/lib serves instead.
 */
export function placeFor(data_dir: string, say: (line: string) => void): { place: string; user?: ServerUser } {
  const is_new = makeFolder(data_dir);
  if (process.getuid?.() !== 0) {
    if (is_new) chmodSync(data_dir, 0o700);
    return { place: data_dir };
  }
  // Secrets in it are 0600 and the cluster 0700; the folder itself must let the server's user through.
  if (is_new) chmodSync(data_dir, 0o755);
  const user = serverUser();
  if (mayEnter(user, data_dir)) return { place: data_dir, user };

  const { dev, ino } = statSync(data_dir);
  const key = new Bun.CryptoHasher("sha256").update(`${data_dir} ${dev} ${ino}`).digest("hex").slice(0, 16);
  const place = join(SHARED_PLACE, key);
  mkdirSync(place, { recursive: true });
  for (const folder of [SHARED_PLACE, place]) chmodSync(folder, 0o755);
  say(`The database lives in ${place}: its user ${SERVER_USER} may not enter ${data_dir}.`);
  return { place, user };
}

/** Whether it had to be made. Throws a Refusal where it is no folder, or one may not write in it. */
export function makeFolder(data_dir: string): boolean {
  try {
    const is_new = mkdirSync(data_dir, { recursive: true }) !== undefined;
    accessSync(data_dir, constants.W_OK | constants.X_OK);
    return is_new;
  } catch (error) {
    throw new Refusal("bad_config", `BRAIN_DATA_DIR cannot be used: ${messageOf(error)}.`, error);
  }
}

/** Asks the system rather than reckoning with modes, groups and ACLs ourselves. */
const mayEnter = (user: ServerUser, folder: string) =>
  spawnSync("test", ["-x", folder], { ...user, cwd: "/" }).status === 0;

/** The system user of the server, made where it is missing: initdb insists on a passwd entry. */
function serverUser(): ServerUser {
  const known = lookUp(SERVER_USER);
  if (known) return known;
  const nobody_logs_in = [
    "--system",
    "--user-group",
    "--no-create-home",
    "--home-dir",
    "/nonexistent",
    "--shell",
    "/usr/sbin/nologin",
  ];
  for (const [command = "", ...args] of [
    ["useradd", ...nobody_logs_in],
    ["/usr/sbin/useradd", ...nobody_logs_in], // where PATH lacks it
    ["adduser", "-S", "-D", "-H"], // BusyBox
  ]) {
    spawnSync(command, [...args, SERVER_USER], { stdio: "ignore" });
    const made = lookUp(SERVER_USER);
    if (made) return made;
  }
  const fallback = lookUp("postgres") ?? lookUp("nobody");
  if (fallback) return fallback;
  throw new Error(
    `PostgreSQL does not run as root, and the system user ${SERVER_USER} could not be made. Run as another user.`,
  );
}

function lookUp(name: string): ServerUser | undefined {
  const [uid, gid] = ["-u", "-g"].map((flag) => spawnSync("id", [flag, name], { encoding: "utf8" }));
  if (uid?.status !== 0 || gid?.status !== 0) return undefined;
  return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
}
