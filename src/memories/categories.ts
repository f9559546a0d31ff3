import type { Caller } from "../db.ts";
import { pageOf } from "../schema.ts";
import type { Categories } from "./action_schema.ts";
import { CATEGORIES } from "./schema.ts";

/** The categories of the active memories the caller sees, each with how many; the largest first. */
export async function listCategories(caller: Caller): Promise<Categories> {
  const items = await caller.read(
    (tx) => tx<Categories["items"]>`
      select category, count(*)::int as count
      from brain.memories
      where state = 'active'
      group by category
      order by count desc, category`,
  );
  return pageOf(items, items.length, { page: 1, size: CATEGORIES.length });
}
