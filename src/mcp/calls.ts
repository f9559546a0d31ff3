import type { JSONRPCMessage, RequestId } from "@modelcontextprotocol/sdk/types.js";
import type { Caller } from "../db.ts";
import { Outbox } from "./outbox.ts";

/** Calls of one session that work at once: their 202 comes before their answer, so nothing else holds a client back. */
const MAX_AT_ONCE = 4;
/** Those and the ones that wait for their turn. */
export const MAX_TAKEN = 128;

/** The calls of one legacy session that this process has taken and not answered. They start in the order they came. */
export class Calls {
  readonly #taken = new Map<RequestId, AbortController>();
  readonly #waiting: (() => void)[] = [];
  #working = 0;
  /** For answers whose stream is held by another process. */
  readonly outbox: Outbox;

  /** `done` is called whenever the last of them has been answered. */
  constructor(
    leave: (caller: Caller, answers: JSONRPCMessage[]) => Promise<void>,
    private readonly done: () => void,
  ) {
    this.outbox = new Outbox(leave);
  }

  get count() {
    return this.#working + this.#waiting.length;
  }

  /** Works in its turn. The work must not reject; its signal aborts when the call is cancelled. */
  take(id: RequestId, work: (signal: AbortSignal) => Promise<void>) {
    const cancel = new AbortController();
    this.#taken.set(id, cancel);
    const start = () => {
      this.#working++;
      void work(cancel.signal).finally(() => {
        if (this.#taken.get(id) === cancel) this.#taken.delete(id);
        this.#working--;
        this.#waiting.shift()?.();
        if (this.count === 0) this.done();
      });
    };
    if (this.#working < MAX_AT_ONCE) start();
    else this.#waiting.push(start);
  }

  /** False where there is no such call. */
  cancel(id: RequestId): boolean {
    const call = this.#taken.get(id);
    call?.abort();
    return call !== undefined;
  }

  cancelAll() {
    for (const call of this.#taken.values()) call.abort();
  }
}
