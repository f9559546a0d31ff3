import type { RECALL_KINDS } from "./schema.ts";

/** The ways a memory is recalled. */
export type RecallKind = (typeof RECALL_KINDS)[number];

/** One answer with memories in it. */
export interface Recall {
  readonly org: string;
  readonly sub: string;
  readonly app: string;
  readonly kind: RecallKind;
  /** RFC 3339. */
  readonly at: string;
  readonly memory_ids: readonly string[];
}

/** Ids that wait at most, some 10 MB; and that are written by one statement. */
const MAX_WAITING = 100_000;
const MAX_AT_ONCE = 5000;

/** What has been recalled and is not written yet. Where too much of it waits, what comes is dropped and counted. */
export class RecallQueue {
  #waiting: Recall[] = [];
  #ids = 0;
  /** Recalls, since the start. */
  dropped = 0;

  /** How many recalls wait. */
  get waiting() {
    return this.#waiting.length;
  }

  add(recall: Recall) {
    if (recall.memory_ids.length === 0) return;
    if (this.#ids + recall.memory_ids.length > MAX_WAITING) {
      this.dropped++;
      return;
    }
    this.#waiting.push(recall);
    this.#ids += recall.memory_ids.length;
  }

  /** Takes the oldest, as many as are written at once; none where none wait. */
  take(): Recall[] {
    let ids = 0;
    const end = this.#waiting.findIndex(({ memory_ids }) => {
      ids += memory_ids.length;
      return ids > MAX_AT_ONCE;
    });
    const taken = this.#waiting.splice(0, end === -1 ? this.#waiting.length : Math.max(1, end));
    this.#ids -= taken.reduce((sum, { memory_ids }) => sum + memory_ids.length, 0);
    return taken;
  }

  /** Counts what will never be written. */
  lose(recalls: readonly Recall[]) {
    this.dropped += recalls.length;
  }

  /** Puts back what could not be written just now, before what has come since. */
  putBack(recalls: readonly Recall[]) {
    const later = this.#waiting;
    this.#waiting = [];
    this.#ids = 0;
    for (const recall of [...recalls, ...later]) this.add(recall);
  }
}
