import postgres from "postgres";
import type { Identity } from "../auth/tokens.ts";
import type { Caller, ReadOptions, Tx, WriteOptions } from "../db.ts";
import type { Embedder } from "../embeddings/provider.ts";
import { clientGone } from "../problem.ts";
import type { RecallQueue } from "../recalls/queue.ts";
import { BRIEF_SECONDS, type Pool, READ_ONLY, type Running } from "./pool.ts";

/** Thrown inside a transaction that met a user, an app or a space the database has not seen; `Caller` makes them and starts over. */
export class NotProvisioned extends Error {
  override readonly name = "NotProvisioned";
  constructor(readonly access_entities: readonly string[] = []) {
    super("not provisioned");
  }
}

const SNAPSHOT = "isolation level repeatable read, read only";
/** Deadlock and serialization failure: the same again may well go through. */
const WORTH_A_RETRY = /^40(P01|001)$/;

type AnyOptions = ReadOptions & WriteOptions;

/** Whether app.enter() let the caller in, and the transaction it did that in. */
interface Entered extends Running {
  entered: boolean;
}

/**
 * Makes callers of a pool: what a transaction of theirs begins with, when it starts over, and what ends it early. This
 * is the only place that says to the database who asks.
 */
export function callersOf({ begin, endStatement }: Pool, recalls: RecallQueue, embedder: Embedder | null) {
  return (identity: Identity, app: string, request_id: string): Caller => {
    const { org, sub, jti, grants } = identity;
    let has_entered = false;

    const through = (app: string, signal?: AbortSignal): Caller => {
      const within = <T>(mode: string, work: (tx: Tx) => Promise<T>, options: AnyOptions) => {
        const { seconds, spaces = [], plans, statements } = options;
        const ending = mode === "" ? undefined : signal;
        const entered = async (tx: Tx) => {
          if (ending?.aborted) throw clientGone();
          if (spaces.length > 0) await makeSpaces(tx, spaces);
          const entering = tx<Entered[]>`
            select app.enter(${org}, ${sub}, ${jti}, ${grants as string[]}, ${app}, ${request_id}) as entered,
                   pg_backend_pid() as pid, now()::text as began,
                   set_config('plan_cache_mode', ${plans ? "force_generic_plan" : "auto"}, true)`.then(([row]) => {
            if (!row?.entered) throw new NotProvisioned();
            has_entered = true;
            return row;
          });
          if (mode === SNAPSHOT) await entering; // it acts outside of the transaction
          // A statement that cannot be ended ends by its own limit.
          const end = () => void entering.then(endStatement).catch(() => {});
          ending?.addEventListener("abort", end, { once: true });
          // The work does not wait: its first statement goes out with app.enter, and reaches nothing where nobody entered.
          const [entry, done] = await Promise.allSettled([entering, (async () => work(tx))()]);
          ending?.removeEventListener("abort", end);
          if (entry.status === "rejected") throw entry.reason;
          if (done.status === "fulfilled") return done.value;
          throw ending?.aborted ? clientGone() : done.reason;
        };
        return begin(mode, entered, seconds, statements && 1 + statements); // app.enter is one
      };

      const makeSpaces = async (tx: Tx, access_entities: readonly string[]) => {
        await tx`select app.provision(${org}, ${sub}, ${grants as string[]}, ${access_entities as string[]}, ${app})`;
      };

      // A new user in a new space is met twice: first the user, then the space.
      const provisioned = async <T>(
        mode: string,
        work: (tx: Tx) => Promise<T>,
        options: AnyOptions = {},
        tries = 2,
      ): Promise<T> => {
        try {
          return await within(mode, work, options);
        } catch (error) {
          if (tries === 0) throw error;
          if (error instanceof NotProvisioned) await begin("", (tx) => makeSpaces(tx, error.access_entities));
          else if (!(error instanceof postgres.PostgresError && WORTH_A_RETRY.test(error.code))) throw error;
          return provisioned(mode, work, options, tries - 1);
        }
      };

      return {
        ...identity,
        app,
        embedder,
        get has_entered() {
          return has_entered;
        },
        through: (other) => through(other, signal),
        until: (ending) => through(app, ending),
        denied: (what, code) =>
          begin(
            "",
            async (tx) => {
              await tx`select app.audit_denied(${org}, ${sub}, ${app}, ${request_id}, ${what}, ${code})`;
            },
            BRIEF_SECONDS,
          ),
        recalled: (kind, memories) =>
          recalls.add({ org, sub, app, kind, at: new Date().toISOString(), memory_ids: memories.map(({ id }) => id) }),
        read: (work, options) => provisioned(READ_ONLY, work, options),
        snapshot: (seconds, work) => provisioned(SNAPSHOT, work, { seconds }),
        write: (work, options) => provisioned("", work, options),
      };
    };
    return through(app);
  };
}
