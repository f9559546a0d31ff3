import { freePort, spawnBrain } from "./processes.ts";
import { SETTINGS } from "./world.ts";

/** Refused before anything was sent: another process may be asked. */
const REFUSED = /ConnectionRefused|ECONNREFUSED/;

export type Fleet = Awaited<ReturnType<typeof startFleet>>;

/** Several `serve` processes on one database, each on a port of its own, behind a plain round robin. */
export async function startFleet(count: number, env: Record<string, string>) {
  const start = async (port = freePort()) => {
    const process = spawnBrain(["serve"], { JWT_SECRET_KEY: SETTINGS.jwt_secret, PORT: String(port), ...env });
    const url = `http://127.0.0.1:${port}`;
    while (!(await fetch(`${url}/health/ready`).catch(() => null))?.ok) {
      if (process.exitCode !== null) throw new Error(`serve ended with ${process.exitCode}`);
      await Bun.sleep(10);
    }
    return { port, url, process };
  };
  const members = await Promise.all(Array.from({ length: count }, () => start()));
  let turn = 0;
  const member = (place: number) => {
    const found = members[place % members.length];
    if (!found) throw new Error("the fleet is empty");
    return found;
  };

  return {
    /** Where one of them listens. */
    urlOf: (place: number) => member(place).url,

    /**
     * Sends a request to the next one in turn, and to the one after it where that one does not listen, as any balancer
     * does. Nothing else is sent again: throws what becomes of the connection.
     */
    async ask(path: string, init: RequestInit): Promise<Response> {
      const first = turn++;
      for (let tries = 1; ; tries++) {
        try {
          return await fetch(member(first + tries).url + path, { ...init, keepalive: false });
        } catch (error) {
          if (tries === members.length || !(error instanceof Error && REFUSED.test(`${codeOf(error)}`))) throw error;
        }
      }
    },

    /** Ends one by a signal, waits until it is gone, and gives its exit code. */
    async end(place: number, signal: "SIGKILL" | "SIGTERM") {
      const { process } = member(place);
      process.kill(signal);
      return process.exited;
    },

    /** Starts one again that was ended, where it listened before. */
    async startAgain(place: number) {
      members[place] = await start(member(place).port);
    },

    async stop() {
      for (const { process } of members) process.kill("SIGTERM");
      await Promise.all(members.map(({ process }) => process.exited));
    },
  };
}

const codeOf = (error: Error) => ("code" in error ? error.code : error.message);
