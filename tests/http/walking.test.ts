import { afterAll, beforeAll, expect, test } from "bun:test";
import { openWorld, type Person, type World } from "../support/world.ts";

/** Lists while they are written to. */
let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const crew = (sub: string): Person => ({ org: "acme", sub, grants: ["project:acme/walk"] });
const texts = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => `${prefix} ${index}`);
const storeAll = async (person: Person, contents: string[], access_entity = "project:acme/walk") =>
  (
    await world
      .api(person)
      .post("/memories/batch", { memories: contents.map((content) => ({ content, access_entity })) })
  ).body.items as { id: string }[];

/** Everything a walk by cursor shows, in its order; `between` runs after each page. */
async function walked(person: Person, query: string, between: (page: number) => Promise<unknown>): Promise<string[]> {
  const shown: string[] = [];
  let cursor: string | null = "";
  for (let page = 0; cursor !== null; page++) {
    const { status, body } = await world.api(person).get(`/memories?${query}${cursor && `&cursor=${cursor}`}`);
    expect(status).toBe(200);
    shown.push(...body.items.map(({ id }: { id: string }) => id));
    cursor = body.next_cursor;
    await between(page);
  }
  return shown;
}

test("a walk by cursor shows each of those there at its start once, whatever is written meanwhile", async () => {
  const [walker, writer] = [crew("walker"), crew("writer")];
  const there: string[] = [];
  for (let round = 0; round < 3; round++)
    there.push(...(await storeAll(walker, texts(`there ${round}`, 40))).map(({ id }) => id));
  const gone = new Set<string>();
  let written = 0;
  const shown = await walked(walker, "size=7", async (page) => {
    // New ones before it, changes and moves of what is ahead and behind, and one that goes.
    await Promise.all([
      storeAll(writer, texts(`new ${page}`, 5)),
      storeAll(writer, texts(`elsewhere ${page}`, 3), "team:acme/walk/other"),
      world.api(writer).put(`/memories/${there[page * 3]}`, { content: `changed ${page}` }),
      world.api(writer).put(`/memories/${there[page * 3 + 1]}`, { access_entity: "team:acme/walk/other" }),
    ]);
    const last = there[page];
    if (page > 10 && last && (await world.api(writer).delete(`/memories/${last}`)).status === 204) gone.add(last);
    written += 8;
  });
  expect(written).toBeGreaterThan(100);
  expect(new Set(shown).size).toBe(shown.length);
  expect(there.filter((id) => !gone.has(id) && !shown.includes(id))).toEqual([]);
  expect(shown.filter((id) => !there.includes(id))).toEqual([]); // what came later is newer than where the walk began
});

test("many walkers beside many writers, over several spaces", async () => {
  const people = ["one", "two", "three"].map(crew);
  const there = new Set<string>();
  for (const person of people)
    for (const space of ["project:acme/walk", "team:acme/walk/a"])
      for (const { id } of await storeAll(person, texts(`${person.sub} in ${space}`, 50), space)) there.add(id);
  let is_over = false;
  const writing = Promise.all(
    people.map(async (person) => {
      for (let round = 0; !is_over; round++) await storeAll(person, texts(`${person.sub} writes ${round}`, 10));
    }),
  );
  const walks = await Promise.all(people.map((person) => walked(person, "size=23", async () => {})));
  is_over = true;
  await writing;
  for (const shown of walks) {
    expect(new Set(shown).size).toBe(shown.length);
    expect([...there].filter((id) => !shown.includes(id))).toEqual([]);
  }
}, 30_000);

test("the total is what the pages hold, for every filter and order", async () => {
  const person = { org: "acme", sub: "counter" };
  const memories = texts("counted", 47).map((content, index) => ({
    content,
    category: index % 3 === 0 ? "decision" : "note",
    tags: index % 2 === 0 ? ["even"] : [],
    entities: [`Entity ${index % 5}`],
  }));
  await world.api(person).post("/memories/batch", { memories });
  for (const query of [
    "",
    "&category=decision",
    "&tag=even",
    "&entity=entity-3",
    "&category=note&tag=even",
    "&sort_column=content",
    "&sort_column=category&sort_direction=desc",
    "&search_query=counted",
    "&search_query=counted&category=decision",
    "&state=archived",
  ]) {
    const ids: string[] = [];
    let pages = 1;
    for (let page = 1; page <= pages; page++) {
      const { body } = await world.api(person).get(`/memories?size=5&page=${page}${query}`);
      ids.push(...body.items.map(({ id }: { id: string }) => id));
      ({ pages } = body);
      expect([query, body.total_is]).toEqual([query, "exact"]);
      if (page === pages || pages === 0) expect([query, body.total]).toEqual([query, ids.length]);
    }
    expect([query, new Set(ids).size]).toEqual([query, ids.length]);
  }
});
