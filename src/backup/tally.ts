import type { Format } from "./record.ts";
import type { ImportReport, Reason } from "./schema.ts";

/** Reasons that are told one by one. */
const MAX_REASONS = 100;

/** What an import comes to, counted as it goes. */
export class Tally {
  created = 0;
  updated = 0;
  skipped = 0;
  relations = 0;
  events = 0;
  aliases = 0;
  #rejected = 0;
  #left_out = 0;
  readonly #reasons: Reason[];
  readonly #links: Reason[] = [];

  /** Begins with what another has rejected. */
  constructor(before?: Tally) {
    this.#rejected = before ? before.#rejected : 0;
    this.#reasons = before ? [...before.#reasons] : [];
  }

  /** A memory, or something said of a space, that is not taken over. */
  reject(reason: Reason) {
    this.#rejected++;
    if (this.#reasons.length < MAX_REASONS) this.#reasons.push(reason);
  }

  /** What a memory that was taken over points to, or says, and that cannot be. */
  leaveOut(reason: Reason) {
    this.#left_out++;
    if (this.#links.length < MAX_REASONS) this.#links.push(reason);
  }

  report(format: Format, dry_run: boolean): ImportReport {
    const { created, updated, skipped, relations, events, aliases } = this;
    const reasons = this.#reasons.toSorted((a, b) => a.line - b.line);
    return {
      format,
      dry_run,
      created,
      updated,
      skipped,
      rejected: this.#rejected,
      reasons,
      relations,
      events,
      aliases,
      links_left_out: this.#left_out,
      links: this.#links,
    };
  }
}
