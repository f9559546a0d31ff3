import type { Caller } from "../db.ts";
import { MAX_GROUPS, type Stats, type StatsQuery } from "./schema.ts";

/** Which column a row is of: what grouping() gives for it. */
const KINDS = { 15: "state", 23: "category", 27: "access_entity", 29: "app", 30: "day" } as const;

interface Group {
  kind: keyof typeof KINDS;
  key: string;
  count: number;
}

/** What the caller sees, counted by state, category, space, app and day, and how many apps the caller has. */
export function getStats(caller: Caller, { days = 30 }: StatsQuery): Promise<Stats> {
  return caller.read(async (tx) => {
    // One walk through the rows for all of them.
    const groups = await tx<Group[]>`
      select grouping(state, category, access_entity, app, day) as kind,
             coalesce(state, category, access_entity, app, day) as key, count(*)::int as count
      from (
        select state, category, access_entity, app,
               case when memories.created_at >= current_date - ${days - 1}::int
                 then to_char(memories.created_at, 'YYYY-MM-DD') end as day
        from brain.memories
        join brain.spaces on spaces.id = space_id
        where state <> 'deleted'
      ) as seen
      group by grouping sets (state, category, access_entity, app, day)
      order by count desc, key`;
    const of = (name: (typeof KINDS)[Group["kind"]]) =>
      groups.filter(({ kind, key }) => KINDS[kind] === name && key !== null);
    const [row] = await tx<{ apps: number; today: string }[]>`
      select count(*)::int as apps, current_date::text as today from brain.apps`;
    const created = new Map(of("day").map(({ key, count }) => [key, count]));
    const states = of("state").map(({ key, count }) => ({ state: key, count }));
    return {
      total_memories: states.reduce((sum, { count }) => sum + count, 0),
      total_apps: row?.apps ?? 0,
      by_state: states,
      by_category: of("category").map(({ key, count }) => ({ category: key, count })),
      by_space: of("access_entity")
        .slice(0, MAX_GROUPS)
        .map(({ key, count }) => ({ access_entity: key, count })),
      by_app: of("app")
        .slice(0, MAX_GROUPS)
        .map(({ key, count }) => ({ app: key, count })),
      growth: daysUntil(row?.today ?? "", days).map((day) => ({ day, created: created.get(day) ?? 0 })),
    };
  });
}

/** So many days, the last of them this one. */
function daysUntil(last: string, count: number): string[] {
  const end = Date.parse(last);
  return Array.from({ length: count }, (_, index) =>
    new Date(end - (count - 1 - index) * 86_400_000).toISOString().slice(0, 10),
  );
}
