import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "./folder.ts";
import { freePort } from "./processes.ts";

/** Where pgbouncer is on this machine; Debian puts it where a user's PATH does not look. Null: it is not installed. */
export const PGBOUNCER = Bun.which("pgbouncer", { PATH: `${process.env.PATH}:/usr/sbin` });

/**
 * Starts a pgbouncer in transaction mode before a server, on a port of its own, with few connections to the server.
 * `url` is what `server_url` is, through it. 1.18, Debian 12's, keeps no prepared statements.
 */
export async function startPgbouncer(server_url: string, { pool_size = 3 } = {}) {
  if (!PGBOUNCER) throw new Error("pgbouncer is not installed");
  const { hostname, port: server_port, username, password } = new URL(server_url);
  const folder = temporaryFolder();
  const log = join(folder.path, "log");
  const port = freePort();
  // With the plain password it can both check the client's SCRAM and answer the server's.
  writeFileSync(join(folder.path, "userlist.txt"), `"${username}" "${password}"\n`);
  writeFileSync(
    join(folder.path, "pgbouncer.ini"),
    `[databases]
* = host=${hostname} port=${server_port || 5432}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${join(folder.path, "userlist.txt")}
ignore_startup_parameters = extra_float_digits
pool_mode = transaction
default_pool_size = ${pool_size}
max_client_conn = 200
`,
  );
  const bouncer = Bun.spawn(
    // It refuses to run as root; that user can read what lies in the folder, and needs nothing else.
    [PGBOUNCER, ...(process.getuid?.() === 0 ? ["-u", "nobody"] : []), join(folder.path, "pgbouncer.ini")],
    { stdin: "ignore", stdout: "ignore", stderr: Bun.file(log) },
  );
  const stop = async () => {
    bouncer.kill("SIGTERM"); // at once; SIGINT would wait for clients
    await bouncer.exited;
    folder[Symbol.dispose]();
  };
  while (!(await takesConnections(port))) {
    if (bouncer.exitCode !== null) {
      const said = await Bun.file(log).text();
      await stop();
      throw new Error(`pgbouncer did not start: ${said}`);
    }
    await Bun.sleep(10);
  }
  const url = new URL(server_url);
  Object.assign(url, { hostname: "127.0.0.1", port: String(port) });
  return { url: url.href, [Symbol.asyncDispose]: stop };
}

const takesConnections = (port: number) =>
  Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } }).then(
    (socket) => {
      socket.end();
      return true;
    },
    () => false,
  );
