import type postgres from "postgres";
import { openDatabase } from "../../src/db.ts";
import type { World } from "./world.ts";

/**
 * What the server has counted of some work, by a count of its own statistics. The work runs on a connection of its own,
 * and is counted when its backend is gone: until then it keeps what it has not reported.
 */
export async function countedOf(
  { owner, urls }: Pick<World, "owner" | "urls">,
  count: (owner: postgres.Sql) => Promise<number>,
  work: (database: ReturnType<typeof openDatabase>) => Promise<unknown>,
): Promise<number> {
  const backends = async () => {
    const rows = await owner<{ pid: number }[]>`
      select pid from pg_stat_activity where datname = current_database() and usename <> current_user`;
    return rows.map(({ pid }) => pid);
  };
  const others = await backends();
  const before = await count(owner);
  const database = openDatabase(urls.service_url, { max: 1 });
  await work(database);
  await database.close();
  while ((await backends()).some((pid) => !others.includes(pid))) await Bun.sleep(2);
  return (await count(owner)) - before;
}
