import { mkdir, open, readdir, rm, unlink } from "node:fs/promises";
import { join } from "node:path";
import { Problem, unavailable } from "../problem.ts";

/** Exports and imports at work at once, in this process: each holds a connection of the pool. */
const MAX_AT_WORK = 2;
/** How long another one waits for its turn. */
const MAX_WAIT_MS = 20_000;
const CHUNK_BYTES = 65_536;

/** A file for a while: it has no name any more, and is gone when it is closed or the process ends, however it ends. */
export interface SpoolFile extends AsyncDisposable {
  readonly fd: number;
  /** Bytes written so far. */
  size(): number;
  write(bytes: Uint8Array): Promise<void>;
  /** Starts over. */
  empty(): Promise<void>;
  /** Its bytes, all or a stretch of them. */
  read(from?: number, to?: number): AsyncGenerator<Uint8Array>;
}

/** Where a user's one export or import is under way, slow client and all. */
export interface Place {
  /** Does what needs the database. Throws UNAVAILABLE where too much of that is under way. */
  work<T>(task: () => Promise<T>): Promise<T>;
  release(): void;
}

export type Spool = ReturnType<typeof openSpool>;

/** Where exports and imports are kept while they are under way: `spool` in the data directory, for its owner alone. */
export function openSpool(data_dir: string) {
  const folder = join(data_dir, "spool");
  const busy = new Set<string>();
  const waiting: (() => void)[] = [];
  let at_work = 0;

  /** Waits for one of the places where work is done. Throws UNAVAILABLE where none becomes free. */
  async function turn() {
    const deadline = Date.now() + MAX_WAIT_MS;
    while (at_work >= MAX_AT_WORK) {
      const free = Promise.withResolvers<void>();
      waiting.push(free.resolve);
      const timer = setTimeout(free.resolve, deadline - Date.now());
      await free.promise;
      clearTimeout(timer);
      if (at_work >= MAX_AT_WORK && Date.now() >= deadline) {
        const place = waiting.indexOf(free.resolve);
        if (place !== -1) waiting.splice(place, 1);
        throw unavailable("Too many exports and imports are under way; nothing was changed.");
      }
    }
    at_work++;
  }

  return {
    /** A new file, made private and nameless before anything is in it. */
    async file(): Promise<SpoolFile> {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const path = join(folder, crypto.randomUUID());
      const handle = await open(path, "wx+", 0o600);
      await unlink(path);
      let size = 0;
      return {
        fd: handle.fd,
        size: () => size,
        async write(bytes) {
          for (let done = 0; done < bytes.byteLength; ) {
            const { bytesWritten } = await handle.write(bytes, done, bytes.byteLength - done, size);
            done += bytesWritten;
            size += bytesWritten;
          }
        },
        async empty() {
          await handle.truncate(0);
          size = 0;
        },
        async *read(from = 0, to = size) {
          for (let at = from; at < to; ) {
            const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, to - at));
            const { bytesRead } = await handle.read(chunk, 0, chunk.byteLength, at);
            if (bytesRead === 0) throw new Error("a spool file is shorter than what was written to it");
            at += bytesRead;
            yield chunk.subarray(0, bytesRead);
          }
        },
        [Symbol.asyncDispose]: () => handle.close(),
      };
    },

    /** A user's place, until it is released: one of a kind at a time. Throws CONFLICT where it is taken. */
    take(kind: string, who: string): Place {
      const name = `${kind} ${who}`;
      if (busy.has(name))
        throw new Problem("CONFLICT", `Another ${kind} of yours is under way.`, { hint: "Wait until it has ended." });
      busy.add(name);
      return {
        async work(task) {
          await turn();
          try {
            return await task();
          } finally {
            at_work--;
            waiting.shift()?.();
          }
        },
        release: () => void busy.delete(name),
      };
    },

    /** Removes what a crash in the one moment between making a file and taking its name away has left. */
    async sweep() {
      const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return [];
        throw error;
      });
      await Promise.all(names.map((name) => rm(join(folder, name), { force: true })));
    },
  };
}
