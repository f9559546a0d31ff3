import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import type { Caller } from "../db.ts";

interface Waiting {
  message: JSONRPCMessage;
  caller: Caller;
  left: PromiseWithResolvers<void>;
}

/** Answers on their way to another process, in the order they were given; what came while some were being left goes together. */
export class Outbox {
  #waiting: Waiting[] = [];
  #is_leaving = false;

  constructor(private readonly leave: (caller: Caller, messages: JSONRPCMessage[]) => Promise<void>) {}

  /** Resolves when the message is left, in this caller's name or a later one's; rejects with what `leave` threw. */
  put(caller: Caller, message: JSONRPCMessage): Promise<void> {
    const left = Promise.withResolvers<void>();
    this.#waiting.push({ caller, message, left });
    if (!this.#is_leaving) void this.#leaveAll();
    return left.promise;
  }

  async #leaveAll() {
    this.#is_leaving = true;
    for (let last = this.#waiting.at(-1); last; last = this.#waiting.at(-1)) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.leave(
          last.caller,
          batch.map(({ message }) => message),
        );
        for (const { left } of batch) left.resolve();
      } catch (error) {
        for (const { left } of batch) left.reject(error);
      }
    }
    this.#is_leaving = false;
  }
}
