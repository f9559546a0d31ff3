import type postgres from "postgres";
import { unavailable } from "../problem.ts";

/** What a listener does with what it hears. */
export interface Ears {
  /** The connection's name in pg_stat_activity. */
  as: string;
  heard(payload: string): void;
  /** It listens, for the first time or again: what was sent before has not been heard. */
  connected(): void;
}

const FIRST_SECONDS = 3;

/** Listens on a connection of its own until that is ended. Throws UNAVAILABLE, the connection ended, where it cannot begin to. */
export async function hear(connection: postgres.Sql, channel: string, { heard, connected }: Ears): Promise<void> {
  const first = Promise.withResolvers<void>();
  // Its promise is of the first try alone; the driver goes on trying by itself.
  connection
    .listen(channel, heard, () => {
      first.resolve();
      connected();
    })
    .catch(() => {});
  const limit = setTimeout(
    () => first.reject(unavailable("The database cannot be reached just now.")),
    FIRST_SECONDS * 1000,
  );
  try {
    await first.promise;
  } catch (error) {
    await connection.end({ timeout: 0 });
    throw error;
  } finally {
    clearTimeout(limit);
  }
}
