import type { Caller } from "../db.ts";
import { MAX_GROUPS, type Stats, type StatsQuery } from "./schema.ts";

/** Which column a row is of: what grouping() gives for it. */
const KINDS = { 7: "state", 11: "category", 13: "access_entity", 14: "app" } as const;

interface Group {
  kind: keyof typeof KINDS;
  key: string;
  count: number;
}

/** What the caller sees, counted by state, category, space, app and day, and how many apps the caller has. */
export function getStats(caller: Caller, { days = 30 }: StatsQuery): Promise<Stats> {
  return caller.read(async (tx) => {
    const groups = await tx<Group[]>`
      select grouping(state, category, access_entity, app) as kind,
             coalesce(state, category, access_entity, app) as key, sum(memories)::int as count
      from brain.space_sizes
      join brain.spaces on spaces.id = space_id
      group by grouping sets (state, category, access_entity, app)
      having sum(memories) <> 0
      order by count desc, key`;
    const of = (name: (typeof KINDS)[Group["kind"]]) => groups.filter(({ kind }) => KINDS[kind] === name);
    // A walk along each space's newest, which the index tells without the rows.
    const created = await tx<{ day: string; count: number }[]>`
      select to_char(fresh.created_at, 'YYYY-MM-DD') as day, count(*)::int as count
      from brain.spaces
      cross join lateral (
        select created_at
        from brain.memories
        where space_id = spaces.id and state <> 'deleted' and created_at >= current_date - ${days - 1}::int
        offset 0
      ) as fresh
      group by day`;
    const [row] = await tx<{ apps: number; today: string }[]>`
      select count(*)::int as apps, current_date::text as today from brain.apps`;
    const by_day = new Map(created.map(({ day, count }) => [day, count]));
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
      growth: daysUntil(row?.today ?? "", days).map((day) => ({ day, created: by_day.get(day) ?? 0 })),
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
