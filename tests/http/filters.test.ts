import { afterAll, beforeAll, expect, test } from "bun:test";
import { openWorld, type World } from "../support/world.ts";

let world: World;
const lena = { org: "filters", sub: "lena", grants: ["project:l", "team:l/t"] };
let rest_app = "";

beforeAll(async () => {
  world = await openWorld();
  const api = world.api(lena);
  const { body } = await api.post("/memories/batch", {
    memories: [
      {
        content: "a",
        category: "decision",
        artifact_type: "api",
        artifact_ref: "POST /x",
        entities: ["PostgreSQL", "C++"],
        evidence: ["ADR 1", "ADR 2"],
      },
      {
        content: "b",
        category: "runbook",
        access_entity: "project:l",
        entities: ["postgre sql"],
        tags: { env: "prod", size: 2 },
      },
      {
        content: "c",
        category: "note",
        access_entity: "team:l/t",
        source: "inference",
        tags: { env: "test", ok: true },
      },
      { content: "d", category: "note", tags: ["env", "a,b", "x=y"] },
      { content: "e", category: "glossary", entities: ["C"] },
    ],
  });
  rest_app = body.items[0].app_id;
  const { call } = await world.assistant(lena);
  await call("add_memories", { text: "f" });
  await world.owner`update brain.memories set created_at = '2020-01-01T00:00:00Z' where content = 'e'`;
  await world.owner`update brain.memories set created_at = '1970-01-01T00:00:00Z' where content = 'd'`;
  await world.owner`update brain.memories set state = 'archived' where content = 'c'`;
});
afterAll(() => world.close());

const listed = async (query: string) => {
  const { status, body } = await world.api(lena).get(`/memories?${query}`);
  if (status !== 200) return `${status} ${body.errors?.map(({ at }: { at: string }) => at)}`;
  expect(body.total).toBe(body.items.length);
  return body.items
    .map((item: { content: string }) => item.content)
    .sort()
    .join("");
};

test.each([
  ["", "abdef"],
  ["state=archived", "c"],
  ["states=active,archived", "abcdef"],
  ["show_archived=true", "abcdef"],
  ["show_archived=false", "abdef"],
  ["category=note&show_archived=true", "cdf"],
  ["categories=note,runbook", "bdf"],
  ["access_entity=project:l", "b"],
  ["scope=user", "adef"],
  ["scope=team&state=archived", "c"],
  ["artifact_type=api", "a"],
  ["artifact_ref=POST%20/x", "a"],
  ["entity=Postgre-SQL", "ab"],
  ["entity=POSTGRESQL", "ab"],
  ["entity=c%2B%2B", "a"],
  ["entity=c", "e"],
  ["source=inference&show_archived=true", "c"],
  ["tag=env", "bd"],
  ["tag=env=prod", "b"],
  ["tag=env&tag=size=2", "b"],
  ["tag=env=prod&tag=nothing", ""],
  ["tag=ok=true&state=archived", "c"],
  ["tag=a,b", "d"],
  ["tag=x=y", ""],
  ["from_date=2020-01-01T00:00:00Z&to_date=2020-01-01T01:00:00%2B01:00", "e"],
  ["to_date=2021-01-01T00:00:00Z", "de"],
  ["from_date=0&to_date=0", "d"],
  ["from_date=1577836800", "abef"],
  ["search_query=a&category=decision", ""],
  ["search_query=f&scope=user", "f"],
  ["search_query=f&scope=project", ""],
  ["search_query=b&tag=env=prod", "b"],
])("%s", async (query, contents) => {
  expect(await listed(query)).toBe(contents);
});

/** The same filters as list_memories takes them, and what only they can say. */
const byTool = async (filter: object) => {
  const { call } = await world.assistant(lena);
  // biome-ignore lint/suspicious/noExplicitAny: a page or a problem
  const answer: any = await call("list_memories", { filter });
  if (answer.problem) return `${answer.problem.status} ${answer.problem.errors?.map(({ at }: { at: string }) => at)}`;
  return answer.items
    .map((item: { content: string }) => item.content)
    .sort()
    .join("");
};

test.each([
  [{}, "abdef"],
  [{ state: ["active", "archived"] }, "abcdef"],
  [{ state: "archived" }, "c"],
  [{ category: ["note", "runbook"] }, "bdf"],
  [{ access_entity: "project:l" }, "b"],
  [{ scope: ["project", "team"], state: ["active", "archived"] }, "bc"],
  [{ app: "claude-code" }, "f"],
  [{ app: ["claude-code", "rest"] }, "abdef"],
  [{ app_id: "01a2079c-0000-7000-8000-000000000000" }, "422 filter.app_id"],
  [{ artifact_type: ["api", "db"], artifact_ref: "POST /x" }, "a"],
  [{ entity: ["POSTGRES-QL", "c"] }, "abe"],
  [{ source: ["inference", "import"], state: "archived" }, "c"],
  [{ tag: "env" }, "bd"],
  [{ tag: ["env=prod", "size=2"] }, "b"],
  [{ tag: ["env=prod", "x=y"] }, ""],
  [{ tag: ["env=prod", "a,b"], match: "any" }, "bd"],
  [{ evidence: ["ADR 1", "ADR 2"] }, "a"],
  [{ evidence: ["ADR 1", "ADR 3"] }, ""],
  [{ evidence: ["ADR 1", "ADR 3"], match: "any" }, "a"],
  [{ evidence: ["ADR 1", "ADR 3"], tag: ["x"], match: "any" }, ""],
  [{ from_date: "0", to_date: "2020-01-01T00:00:00Z" }, "de"],
  [{ category: null, state: "active" }, "abdef"],
  [{ from_date: "yesterday" }, "422 filter.from_date"],
  [{ tag: Array.from({ length: 17 }, (_, index) => `k${index}`) }, "422 filter.tag"],
  [{ state: "deleted" }, "422 filter.state"],
  [{ include_superseded: true }, "422 filter.include_superseded"],
  [{ colour: "red" }, "422 filter.colour"],
  [{ category: [] }, "422 filter.category"],
])("list_memories with %j", async (filter, contents) => {
  expect(await byTool(filter)).toBe(contents);
});

test("a date copied from an answer includes the very memory it was copied from", async () => {
  const { body } = await world.api(lena).get("/memories?size=1");
  const [{ content, created_at }] = body.items;
  expect(await listed(`from_date=${created_at}&to_date=${created_at}`)).toContain(content);
});

test("by app, one or several", async () => {
  expect(await listed(`app_id=${rest_app}`)).toBe("abde");
  expect(await listed(`app_ids=${rest_app},01a2079c-0000-7000-8000-000000000000`)).toBe("abde");
  expect(await listed("app_id=01a2079c-0000-7000-8000-000000000000")).toBe("");
});

test.each([
  ["sort_column=content", ["a", "b", "d", "e", "f"]],
  ["sort_column=content&sort_direction=desc", ["f", "e", "d", "b", "a"]],
  ["sort_column=category", ["decision", "glossary", "note", "note", "runbook"]],
  ["sort_column=app_name&size=1", ["claude-code"]],
  ["sort_direction=asc&size=2", ["d", "e"]],
  ["sort_column=created_at&sort_direction=desc&page=5&size=1", ["d"]],
  ["sort_column=updated_at&size=1", ["d"]],
])("sorted by %s", async (query, expected) => {
  const { body } = await world.api(lena).get(`/memories?${query}`);
  const field = query.includes("category") ? "category" : query.includes("app_name") ? "app" : "content";
  expect(body.items.map((item: Record<string, string>) => item[field])).toEqual(expected);
  expect(body.total).toBe(5);
});

test.each([
  ["states=active,deleted", "422 states"],
  ["states=", "422 states"],
  ["categories=note,gossip", "422 categories"],
  ["state=active&states=active", "422 state"],
  ["category=note&categories=note", "422 category"],
  ["app_id=x", "422 app_id"],
  ["app_ids=x,y", "422 app_ids"],
  ["from_date=yesterday", "422 from_date"],
  ["from_date=99999999999999", "422 from_date"],
  ["to_date=-1", "422 to_date"],
  ["to_date=2026-02-31T00:00:00Z", "422 to_date"],
  ["from_date=0000-01-01T00:00:00Z", "422 from_date"],
  ["from_date=2026-01-01T25:00:00Z", "422 from_date"],
  ["from_date=2026-01-01T00:00:00%2B23:59", "422 from_date"],
  ["states=paused&show_archived=true", "422 states"],
  ["sort_column=owner", "422 sort_column"],
  ["sort_direction=up", "422 sort_direction"],
  ["sort_column=content&search_query=x", "422 sort_column"],
  ["show_archived=yes", "422 show_archived"],
  ["tag=", "422 tag"],
  [`${"tag=a&".repeat(17)}size=1`, "422 tag"],
])("%s is refused", async (query, refusal) => {
  expect(await listed(query)).toBe(refusal);
});

test("a cursor goes with newest first only", async () => {
  const { body } = await world.api(lena).get("/memories?size=2&tag=env&show_archived=true");
  const rest = await world.api(lena).get(`/memories?size=2&tag=env&show_archived=true&cursor=${body.next_cursor}`);
  expect([...body.items, ...rest.body.items].map((item: { content: string }) => item.content)).toEqual(["c", "b", "d"]);
  expect(rest.body).toMatchObject({ total: null, total_is: null, page: null, next_cursor: null });
  expect(await listed(`cursor=${body.next_cursor}&sort_column=content`)).toBe("422 cursor");
  expect((await world.api(lena).get("/memories?sort_column=content&size=1")).body.next_cursor).toBeNull();
});

/** The same once more as a body, with the names the earlier system's users know. */
const byBody = async (filter: object) => {
  const { status, body } = await world.api(lena).post("/memories/filter", filter);
  if (status !== 200) return `${status} ${body.errors?.map(({ at }: { at: string }) => at)}`;
  if (!("size" in filter)) expect(body.total).toBe(body.items.length);
  return body.items.map((item: { content: string }) => item.content).join("");
};

test.each([
  [{}, "fbaed"],
  [{ states: ["archived"] }, "c"],
  [{ state: ["active", "archived"], scopes: ["team", "project"] }, "cb"],
  [{ show_archived: true, categories: ["note", "runbook"] }, "fcbd"],
  [{ category: "note", entity: "nothing" }, ""],
  [{ app_ids: ["rest"] }, "422 app_ids.0"],
  [{ artifact_types: ["api", "db"] }, "a"],
  [{ entities: ["POSTGRES-QL", "c"] }, "bae"],
  [{ sources: ["inference"], show_archived: true }, "c"],
  [{ tag: ["env", "size=2"], access_entity: "project:l" }, "b"],
  [{ from_date: 0, to_date: 0 }, "d"],
  [{ from_date: "2020-01-01T00:00:00Z", to_date: 1_577_836_800 }, "e"],
  [{ sort_column: "content", sort_direction: "desc" }, "fedba"],
  [{ sort_column: "content", size: 2, page: 2 }, "de"],
  [{ search_query: "b", tag: "env=prod" }, "b"],
  [{ state: "active", states: ["active"] }, "422 state"],
  [{ state: "active", show_archived: true }, "422 show_archived"],
  [{ category: "note", categories: ["note"] }, "422 category"],
  [{ from_date: "yesterday" }, "422 from_date"],
  [{ page: 0 }, "422 page"],
  [{ size: 101 }, "422 size"],
  [{ page: 101, size: 100 }, "422 page"],
  [{ cursor: "x", page: 1 }, "422 cursor"],
  [{ categories: "note" }, "422 categories"],
  [{ global_pause: true }, "422 global_pause"],
  [{ tag: Array.from({ length: 17 }, (_, index) => `t${index}`) }, "422 tag"],
])("POST /memories/filter %j", async (filter, contents) => {
  expect(await byBody(filter)).toBe(contents as string);
});

test("POST /memories/filter takes the apps by their ids, and a cursor", async () => {
  expect(await byBody({ app_ids: [rest_app] })).toBe("baed");
  expect(await byBody({ app_id: rest_app, categories: ["decision"] })).toBe("a");
  const { body } = await world.api(lena).post("/memories/filter", { size: 3 });
  expect(await byBody({ size: 3, cursor: body.next_cursor })).toBe("ed");
});
