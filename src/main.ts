import http from "node:http";
import { createApp } from "./app.ts";
import { startSealer } from "./audit/sealer.ts";
import { openSpool } from "./backup/spool.ts";
import type { Config } from "./config.ts";
import { openDatabase } from "./db.ts";
import { openProvider } from "./embeddings/provider.ts";
import { startWorker } from "./embeddings/worker.ts";
import { MAX_READ_HEADER_BYTES } from "./http/headers.ts";
import type { Log } from "./log.ts";
import { OFFER } from "./mcp/offer.ts";
import { startDriftWatch } from "./ops/drift_watch.ts";
import { newestMigration } from "./ops/migration_files.ts";
import { startRecallWriter } from "./recalls/writer.ts";
import { messageOf, Refusal } from "./refusal.ts";
import { startPurger } from "./retention/purger.ts";

/**
 * None: Bun's own limit answers without our headers and body. Ours are where a body is read; what nobody reads is not
 * kept (tests/http/listener.test.ts).
 */
const MAX_REQUEST_BYTES = Number.MAX_SAFE_INTEGER;
const IDLE_TIMEOUT_SECONDS = 30;
const DRAIN_SECONDS = 10;

/** A connection that was taken and whose request is not read yet counts as no request: it gets this long. */
const UNREAD_MS = 200;
/** Short turns of the event loop in a row, how many are tried for them, and what is short. */
const QUIET_TURNS = 3;
const MOST_TURNS = 100;
const SHORT_TURN_MS = 1;

/** A service that listens. */
export interface Service {
  /** Where it listens, without a trailing slash. */
  readonly url: string;
  /** Takes no more requests, lets the running ones end for up to 10 seconds, closes the database. */
  stop(): Promise<void>;
}

/** Checks the role, listens, serves; `offer` is what MCP gives. Throws a Refusal where it must not or cannot. */
export async function startService(
  config: Config,
  database_url: string,
  jwt_secret: string,
  log: Log,
  offer = OFFER,
): Promise<Service> {
  const embedder = config.embeddings ? openProvider(config.embeddings) : null;
  const database = openDatabase(database_url, {
    prepare: config.database_prepare,
    listen_url: config.listen_database_url,
    embedder,
  });
  try {
    const facts = database.facts().catch((error: unknown) => {
      throw new Refusal("database_unreachable", `The database does not answer: ${messageOf(error)}.`, error);
    });
    // Made while the database answers: it asks nobody anything.
    const [{ faults, encoding }, app] = await Promise.all([
      facts,
      createApp({ ...config, jwt_secret, newest_migration: newestMigration() }, database, log, offer),
    ]);
    if (encoding !== "UTF8") throw new Refusal("not_utf8", `The database is encoded in ${encoding}; it must be UTF8.`);
    if (faults.length > 0)
      throw new Refusal("role_refused", `The database role may not serve. ${faults.join(" ")} See docs/database.md.`);

    await openSpool(config.data_dir).sweep();
    const server = listen(config, app.fetch);
    const tickers = [startSealer, startRecallWriter, startPurger, startDriftWatch].map((start) => start(database, log));
    const worker = embedder && startWorker(database, embedder, log);
    app.server = server; // so that a stream can lift Bun's time limit from itself
    const host = config.host.includes(":") ? `[${config.host}]` : config.host;
    return {
      url: `http://${host}:${server.port}`,
      async stop() {
        const deadline = Date.now() + DRAIN_SECONDS * 1000;
        await quietTurns();
        // Not awaited: it would wait for idle keep-alive connections and open streams too.
        const closed = server.stop();
        await Promise.all([app.drainStreams(DRAIN_SECONDS), Bun.sleep(UNREAD_MS)]);
        while (server.pendingRequests > 0 && Date.now() < deadline) await Bun.sleep(10);
        await Promise.all([closed, server.stop(true)]);
        await worker?.stop();
        await Promise.all(tickers.map((ticker) => ticker.stop()));
        await database.close();
      },
    };
  } catch (error) {
    await database.close();
    throw error;
  }
}

/**
 * Waits for some turns of the event loop in which next to nothing was done: whoever has connected until then has been
 * taken. A connection that the system has accepted and we have not is cut when we stop to listen. More than one turn:
 * Bun 1.4.5 looks for connections after the first one's immediates.
 */
async function quietTurns() {
  for (let turns = 0, quiet = 0; quiet < QUIET_TURNS && turns < MOST_TURNS; turns++) {
    const began = performance.now();
    await new Promise((resolve) => setImmediate(resolve));
    quiet = performance.now() - began <= SHORT_TURN_MS ? quiet + 1 : 0;
  }
}

/** Our own Bun.serve rather than app.listen, so that tests through app.handle take the same way. */
function listen({ host, port }: Config, fetch: (request: Request) => Response | Promise<Response>) {
  Object.assign(http, { maxHeaderSize: MAX_READ_HEADER_BYTES }); // the only way to tell Bun.serve (1.4.5)
  try {
    return Bun.serve({
      hostname: host,
      port,
      fetch: (request) => fetch(request),
      idleTimeout: IDLE_TIMEOUT_SECONDS,
      maxRequestBodySize: MAX_REQUEST_BYTES,
      development: false, // or Bun's own error page would show our source to anybody
      reusePort: false, // or, out of development, a second service would share the port in silence (Bun 1.4.5)
    });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EADDRINUSE")
      throw new Refusal("port_taken", `Port ${port} of ${host} is taken; set PORT to another.`, error);
    throw error;
  }
}
