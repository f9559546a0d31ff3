import type { Transaction } from "./statements.ts";

/** A request, sent again and again. `{n}` in its body stands for a text that no other request has. */
export interface HttpRequest {
  readonly url: string;
  readonly method?: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
  /** A text that its answer must have in it. */
  readonly holds: string;
}

/** What a closed loop of callers does: each begins its next request when the last one is answered. */
export type Load = { readonly callers: number } & (
  | { readonly kind: "http"; readonly requests: readonly HttpRequest[] }
  | { readonly kind: "sql"; readonly url: string; readonly transactions: readonly Transaction[] }
);

/** What a slice of a load came to. Times in ms. */
export interface Slice {
  readonly requests: number;
  readonly seconds: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  /** Of the callers' own process. */
  readonly cpu_seconds: number;
  /** Answers by status; of SQL none. */
  readonly statuses: Record<string, number>;
  /** Answers of 200 or 201 without the text they must have. */
  readonly wrong: number;
  /** 503 without Retry-After. */
  readonly unexplained: number;
}

/** What a child process is told, and what it answers. */
export type Task = { readonly load: Load; readonly seconds: number };

/** Callers in a process of their own, which stays: connections are kept and the code is warm. */
export function startCallers() {
  let waiting: PromiseWithResolvers<Slice> | undefined;
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/caller.ts`], {
    stdio: ["ignore", "inherit", "inherit"],
    ipc: (slice: Slice) => waiting?.resolve(slice),
    onExit: (_child, code) => waiting?.reject(new Error(`the callers ended with ${code}`)),
  });
  return {
    /** Runs a load for so many seconds. Throws where an answer was not as it must be, which is told on standard error. */
    run(load: Load, seconds: number): Promise<Slice> {
      waiting = Promise.withResolvers<Slice>();
      child.send({ load, seconds } satisfies Task);
      return waiting.promise;
    },
    async stop() {
      child.kill();
      await child.exited;
    },
  };
}

export type Callers = ReturnType<typeof startCallers>;
