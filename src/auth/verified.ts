import type { Identity } from "./tokens.ts";

/** Most tokens a process remembers; longer ones, with very many grants, it does not. Some 20 MB at most. */
const MAX_TOKENS = 4096;
const MAX_LENGTH = 4096;

/**
 * What tokens said that were verified lately, so that one is not verified with each request: that took more than half
 * of what a request costs beside the database. By the digest of the whole token, never by a part of it. A token's end
 * is looked at each time; whether it was revoked is the database's to say, each time.
 */
export class VerifiedTokens {
  /** The oldest use first. */
  readonly #identities = new Map<string, Identity>();

  /** How many are remembered. */
  get size() {
    return this.#identities.size;
  }

  /** What a token says that was verified and has not ended; undefined where it must be verified, be it for its refusal. */
  find(token: string): Identity | undefined {
    if (token.length > MAX_LENGTH) return undefined;
    const digest = digestOf(token);
    const identity = this.#identities.get(digest);
    if (!identity) return undefined;
    this.#identities.delete(digest);
    if (identity.expires_at <= Math.floor(Date.now() / 1000)) return undefined;
    this.#identities.set(digest, identity);
    return identity;
  }

  /** Remembers what a token said that has been verified. */
  keep(token: string, identity: Identity) {
    if (token.length > MAX_LENGTH) return;
    this.#identities.set(digestOf(token), identity);
    const [oldest] = this.#identities.keys();
    if (this.#identities.size > MAX_TOKENS && oldest !== undefined) this.#identities.delete(oldest);
  }
}

const digestOf = (token: string) => new Bun.CryptoHasher("sha256").update(token).digest("base64");
