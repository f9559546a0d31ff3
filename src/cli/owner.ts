import { type Config, loadConfig } from "../config.ts";
import { openEmbedded } from "../embedded/database.ts";
import type { Place } from "../ops/databases.ts";

/** Does some work with the owner's URL: OWNER_DATABASE_URL, or that of the embedded database. */
export function withOwner<T>(work: (owner_url: string) => Promise<T>): Promise<T> {
  return withPlace(({ owner_url }) => work(owner_url));
}

/** The same, with who may make databases beside it: ROOT_DATABASE_URL, or the embedded server's administrator. */
export async function withPlace<T>(work: (place: Place, config: Config) => Promise<T>): Promise<T> {
  const config = loadConfig();
  const { owner_database_url: owner_url, root_database_url: root_url, data_dir } = config;
  if (owner_url) return work({ owner_url, root_url }, config);
  const { server, ...urls } = await openEmbedded(data_dir, console.error);
  const place = { owner_url: urls.owner_database_url, root_url: urls.root_database_url };
  return work(place, config).finally(() => server.stop());
}
