import { loadConfig } from "../config.ts";
import { openEmbedded } from "../embedded/database.ts";

/** Does some work with the owner's URL: OWNER_DATABASE_URL, or that of the embedded database. */
export async function withOwner<T>(work: (owner_url: string) => Promise<T>): Promise<T> {
  const { owner_database_url, data_dir } = loadConfig();
  if (owner_database_url) return work(owner_database_url);
  const { server, ...urls } = await openEmbedded(data_dir, console.error);
  return work(urls.owner_database_url).finally(() => server.stop());
}
