import { describe, expect, test } from "bun:test";
import { withoutTenantConditions } from "../support/without_conditions.ts";

const left = (sql: string) => withoutTenantConditions(`const row = await tx\`${sql}\`;`).source.slice(21, -2);

describe("a condition that names a tenant's column is deleted", () => {
  test.each([
    // biome-ignore-start lint/suspicious/noTemplateCurlyInString: source text
    ["where org_id = ${org}", "where true"],
    [
      "select 1 from a where org_id = ${org} and id = ${id} order by id",
      "select 1 from a where true and id = ${id} order by id",
    ],
    [
      "select 1 from a where id = ${id} and a.owner_id = ${me}\n limit 1",
      "select 1 from a where id = ${id} and true\n limit 1",
    ],
    [
      "update a set x = 1 where (${s} is null or space_id = any (${s})) returning id",
      "update a set x = 1 where true returning id",
    ],
    ["select (select 1 from b where user_id = ${u}) as x from a", "select (select 1 from b where true) as x from a"],
    [
      "select 1 from a where not exists (select from b where b.space_id = 7 and b.id = a.id)",
      "select 1 from a where not exists (select from b where true and b.id = a.id)",
    ],
    [
      "select 1 from a join b on b.id = a.id and b.access_entity = ${name}",
      "select 1 from a join b on b.id = a.id and true",
    ],
    [
      "select 1 from a where access_keys && ${of(tx`x`)} union all select 2",
      "select 1 from a where true union all select 2",
    ],
    [
      "(${x}::text is null or access_entity = ${x})\n  and (${y}::text is null or y = ${y})",
      "true\n  and (${y}::text is null or y = ${y})",
    ],
    ["delete from a where org_id = (select app.org_key(${o})) -- and so on", "delete from a where true -- and so on"],
    ["select count(*) filter (where owner_id = ${me}) from a", "select count(*) filter (where true) from a"],
    // biome-ignore-end lint/suspicious/noTemplateCurlyInString: source text
  ])("%s", (sql, expected) => expect(left(sql)).toBe(expected));
});

describe("what stays", () => {
  test.each([
    // biome-ignore-start lint/suspicious/noTemplateCurlyInString: source text
    ["a join for what is given out", "select access_entity from a join s on s.org_id = a.org_id and s.id = space_id"],
    [
      "a join in a lateral",
      "select 1 from s cross join lateral (select 1 from a where space_id = s.id and x = 1) as y",
    ],
    [
      "columns that are given out, grouped or set",
      "update a set space_id = 1 where id = ${org_id} returning org_id, space_id",
    ],
    ["a join by name", "select 1 from a join s using (org_id, space_id)"],
    ["what a conflict is about", "insert into a (id) values (1) on conflict (org_id, space_id) do nothing"],
    ["names in texts and comments", "select 1 from a where x = 'org_id' -- where org_id = 1"],
    ["a list of columns", "\n  id, space_id, content"],
    // biome-ignore-end lint/suspicious/noTemplateCurlyInString: source text
  ])("%s", (_what, sql) => expect(left(sql)).toBe(sql));

  test("whatever is no SQL", () => {
    const source = "const said = `where org_id = 1`; // tx";
    expect(withoutTenantConditions(source)).toEqual({ source, templates: 0, deleted: [] });
  });
});

test("what is deleted is told with its line, nested templates too", () => {
  const source = `a();
tx<{ id: string; n: number }[]>\`select 1
  from a where x = \${y ? tx\`1\` : tx\`(select 1 from b where owner_id = 2)\`}
    and org_id =
      any (x)\`;`;
  expect(withoutTenantConditions(source)).toMatchObject({
    templates: 3,
    deleted: [
      { line: 3, text: "owner_id = 2" },
      { line: 4, text: "org_id = any (x)" },
    ],
  });
});

test("an or that stands beside such a condition is refused: it could not be taken out alone", () => {
  expect(() => left("select 1 from a where x = 1 or org_id = 2")).toThrow("or");
});
