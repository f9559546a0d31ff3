import { afterAll, beforeAll, expect, test } from "bun:test";
import postgres from "postgres";
import { freshDatabase, type TestDatabase } from "../support/server.ts";

let database: TestDatabase;
let owner: postgres.Sql;
beforeAll(async () => {
  database = await freshDatabase();
  owner = postgres(database.owner_url, { max: 1, onnotice: () => {} });
});
afterAll(async () => {
  await owner.end();
  await database.drop();
});

/** The table of the security page, in words of its own: which grant covers which space. */
function covers(grant: string, space: string): boolean {
  const [held, held_path] = grant.split(/:(.*)/s) as [string, string];
  const [kind, path] = space.split(/:(.*)/s) as [string, string];
  if (grant === space) return true;
  const is_below = path.startsWith(`${held_path}/`);
  if (held === "project") return is_below && (kind === "team" || kind === "project");
  if (held === "org") return is_below && (kind === "team" || kind === "project" || kind === "org");
  return false;
}

test("the keys of a space are the grants that cover it, in 200,000 random cases", async () => {
  const pick = <T>(values: readonly T[]): T => values[Math.floor(Math.random() * values.length)] as T;
  const random = () => {
    const path = Array.from({ length: 1 + Math.floor(Math.random() * 4) }, () =>
      pick(["a", "b", "ab", "a.b", "a-", "_", "A"]),
    );
    return `${pick(["user", "team", "project", "org"])}:${path.join("/")}`;
  };
  const pairs = Array.from({ length: 200_000 }, () => [random(), random()] as const);
  const spaces = [...new Set(pairs.map(([, space]) => space))];
  const rows = await owner<{ keys: string[] }[]>`
    select app.access_keys(space) as keys from unnest(${spaces}::text[]) with ordinality as given (space, place) order by place`;
  const keys = new Map(spaces.map((space, index) => [space, new Set(rows[index]?.keys)]));
  const opened = pairs.map(([held, space]) => keys.get(space)?.has(held) === true);
  expect(pairs.filter(([held, space], index) => opened[index] !== covers(held, space)).slice(0, 5)).toEqual([]);
  expect(opened.filter(Boolean).length).toBeGreaterThan(1000);
});

test.each([
  ["user:x/y", ["user:x/y"]],
  ["org:a", ["org:a"]],
  ["org:a/b", ["org:a", "org:a/b"]],
  ["project:a/b", ["org:a", "project:a", "project:a/b"]],
  ["team:a/b/c", ["org:a", "org:a/b", "project:a", "project:a/b", "team:a/b/c"]],
])("%s opens to its keys", async (space, keys) => {
  const [row] = await owner<{ keys: string[] }[]>`select app.access_keys(${space}) as keys`;
  expect(row?.keys.sort()).toEqual(keys);
});
