import { isIPv6 } from "node:net";
import { Problem } from "../problem.ts";

/** How much one may ask: so many requests a minute in the long run, so many at once. */
export interface LimitSettings {
  readonly rate_limit_rpm: number;
  readonly rate_limit_burst: number;
}

/** What is left of a limit after a request, as the headers tell it. */
export interface Allowance {
  readonly is_allowed: boolean;
  /** Whether it ever will be: not where it is more than the burst. */
  readonly is_possible: boolean;
  readonly limit: number;
  readonly remaining: number;
  /** Seconds until it is allowed; 0 when it is. */
  readonly wait_seconds: number;
  /** Seconds until all of the limit is there again. */
  readonly full_seconds: number;
}

/** Most names a process remembers at once. */
const MAX_NAMES = 10_000;

/**
 * Token buckets by name, in memory. Each holds `burst` at most and gains `rpm` a minute. A full bucket is as good as
 * none and is forgotten; where 10,000 are not full, the one unused for longest goes: memory is bounded, and whoever
 * fills it with names gains a fresh bucket for names not seen lately, no more.
 */
export class RateLimit {
  /** The oldest use first. */
  readonly #buckets = new Map<string, { left: number; at: number }>();
  readonly #per_ms: number;

  constructor(
    private readonly settings: LimitSettings,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#per_ms = settings.rate_limit_rpm / 60_000;
  }

  /** How many names are remembered. */
  get size() {
    return this.#buckets.size;
  }

  /** Takes so many, if they are there; takes nothing otherwise. `whole` is what they are the rest of, to wait for. */
  take(name: string, count = 1, whole = count): Allowance {
    const left = this.#left(name);
    const is_allowed = left >= count && whole <= this.settings.rate_limit_burst;
    const after = is_allowed ? left - count : left;
    this.#keep(name, after);
    return this.#allowance(is_allowed, after, whole);
  }

  /** Puts back so many of what was taken. */
  give(name: string, count: number) {
    this.#keep(name, Math.min(this.settings.rate_limit_burst, this.#left(name) + count));
  }

  #left(name: string): number {
    const bucket = this.#buckets.get(name);
    const { rate_limit_burst } = this.settings;
    if (!bucket) return rate_limit_burst;
    return Math.min(rate_limit_burst, bucket.left + (this.now() - bucket.at) * this.#per_ms);
  }

  #keep(name: string, left: number) {
    this.#buckets.delete(name);
    this.#buckets.set(name, { left, at: this.now() });
    // Two a call, so that what has become full goes in time without a walk over everything.
    for (const [other] of [...this.#first(2)])
      if (this.#buckets.size > MAX_NAMES || this.#left(other) >= this.settings.rate_limit_burst)
        this.#buckets.delete(other);
  }

  *#first(count: number) {
    for (const entry of this.#buckets) {
      if (count-- === 0) return;
      yield entry;
    }
  }

  #allowance(is_allowed: boolean, left: number, count: number): Allowance {
    const { rate_limit_burst } = this.settings;
    const secondsTo = (amount: number) => Math.max(0, Math.ceil((amount - left) / this.#per_ms / 1000));
    return {
      is_allowed,
      is_possible: count <= rate_limit_burst,
      limit: rate_limit_burst,
      remaining: Math.floor(left),
      wait_seconds: is_allowed ? 0 : Math.max(1, secondsTo(Math.min(count, rate_limit_burst))),
      full_seconds: secondsTo(rate_limit_burst),
    };
  }
}

/** A set of names that forgets: where there are 10,000, the one neither added nor asked for in the longest time goes. */
export class NameMemory {
  /** The oldest use first. */
  readonly #names = new Set<string>();

  /** How many names are remembered. */
  get size() {
    return this.#names.size;
  }

  add(name: string) {
    this.#names.delete(name);
    this.#names.add(name);
    const [oldest] = this.#names;
    if (this.#names.size > MAX_NAMES && oldest !== undefined) this.#names.delete(oldest);
  }

  has(name: string): boolean {
    const is_known = this.#names.has(name);
    if (is_known) this.add(name);
    return is_known;
  }
}

/** The headers of an answer under a limit. Reset is the moment (Unix seconds) when all of it is there again. */
export const limitHeaders = ({ limit, remaining, full_seconds }: Allowance): Record<string, string> => ({
  "x-ratelimit-limit": String(limit),
  "x-ratelimit-remaining": String(remaining),
  "x-ratelimit-reset": String(Math.floor(Date.now() / 1000) + full_seconds),
});

/** Too many; the headers say when to come again. */
export const rateLimited = (allowance: Allowance) =>
  new Problem("RATE_LIMITED", "Too many requests.", {
    hint: allowance.is_possible
      ? `Wait ${allowance.wait_seconds} s.`
      : `More than ${allowance.limit} at once never pass; send fewer.`,
    headers: { ...limitHeaders(allowance), "retry-after": String(allowance.wait_seconds) },
  });

/** How each request that was let in takes more of its user's limit. Filled by the door. */
const takers = new WeakMap<Request, (messages: number) => void>();

/** Says how a request pays for the messages in it. The door alone does. */
export const payBy = (request: Request, take: (messages: number) => void) => void takers.set(request, take);

/** Makes a request cost as many as the messages in it, not one. Throws RATE_LIMITED where not all of them are left. */
export function payFor(request: Request, messages: number) {
  const take = takers.get(request);
  if (!take) throw new Error("a request without a limit");
  if (messages > 1) take(messages);
}

/** The name an address is limited by: an IPv6 client has a whole /64 to choose from. */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = "", tail = ""] = (address.split("%")[0] ?? "").split("::");
  const parts = (text: string) => text.split(":").filter(Boolean);
  const missing = 8 - parts(head).length - parts(tail).length;
  const all = address.includes("::")
    ? [...parts(head), ...Array(Math.max(0, missing)).fill("0"), ...parts(tail)]
    : parts(head);
  return `${all
    .slice(0, 4)
    .map((part) => Number.parseInt(part, 16).toString(16))
    .join(":")}::/64`;
}
