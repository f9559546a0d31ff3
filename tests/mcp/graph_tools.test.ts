import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ada, ben, cyd, openWorld, samely, type World } from "../support/world.ts";

/** The graph's tools give what its routes give, and a text in which what people stored is quoted. */
let world: World;
let ids: string[];
beforeAll(async () => {
  world = await openWorld();
  const access_entity = "project:acme/web";
  const said = [
    { content: "2025-03-31: sessions live in PostgreSQL.", category: "decision", entities: ["PostgreSQL", "sessions"] },
    { content: "Sessions\nend after half an hour.", entities: ["sessions"], tags: ["auth", "ttl"] },
    { content: "PostgreSQL 18 it is.", entities: ["postgresql", "Release"], tags: ["auth", "ttl"] },
    { content: "Deployments happen on Thursdays." },
  ];
  const memories = said.map((memory) => ({ ...memory, access_entity }));
  const { body } = await world.api(ada).post("/memories/batch", { memories });
  ids = body.items.map(({ id }: { id: string }) => id);
});
afterAll(() => world.close());

const SAME: [tool: string, args: () => object, path: () => string][] = [
  [
    "graph_related_memories",
    () => ({ memory_id: ids[0], via: "entity", limit: 1 }),
    () => `/memories/${ids[0]}/related?via=entity&limit=1`,
  ],
  [
    "graph_similar_memories",
    () => ({ memory_id: ids[0], min_score: 0.01 }),
    () => `/memories/${ids[0]}/similar?min_score=0.01`,
  ],
  ["graph_subgraph", () => ({ memory_id: ids[0], depth: 1 }), () => `/memories/${ids[0]}/graph?depth=1`],
  ["graph_aggregate", () => ({ group_by: "entity" }), () => "/graph/aggregate/entity"],
  [
    "graph_tag_cooccurrence",
    () => ({ limit: 5, sample_size: 1 }),
    () => "/graph/tags/cooccurrence?limit=5&sample_size=1",
  ],
  ["graph_related_tags", () => ({ tag_key: "auth" }), () => "/graph/tags/auth/related"],
  [
    "graph_biography_timeline",
    () => ({ entity_name: "Postgre SQL", event_types: null }),
    () => "/graph/timeline?entity_name=Postgre+SQL",
  ],
];

test.each(SAME)("%s", async (tool, args, path) => {
  for (const person of [ada, ben, cyd]) {
    const { call } = await world.assistant(person, { toolsets: "graph" });
    const { body } = await world.api(person).get(path());
    const answer = (await call(tool, args() as Record<string, unknown>)) as { problem?: object };
    if (answer.problem) expect(samely(answer.problem)).toEqual(samely(body));
    else expect(answer).toEqual(body);
    if (person !== cyd) expect(JSON.stringify(body)).not.toContain('"items":[]');
  }
});

describe("graph_explore", () => {
  const ASKED: [args: () => Record<string, unknown>, path: () => string][] = [
    [
      () => ({ question: "related", memory_id: ids[0], via: null, limit: 5 }),
      () => `/memories/${ids[0]}/related?limit=5`,
    ],
    [() => ({ question: "similar", memory_id: ids[0] }), () => `/memories/${ids[0]}/similar`],
    [() => ({ question: "subgraph", memory_id: ids[0], via: "entity" }), () => `/memories/${ids[0]}/graph?via=entity`],
    [() => ({ question: "path", entity_a: "Release", entity_b: "SESSIONS" }), () => "/entities/path/Release/SESSIONS"],
    [() => ({ question: "network", entity_name: "postgresql" }), () => "/entities/postgresql/network"],
    [() => ({ question: "timeline" }), () => "/graph/timeline"],
  ];

  test.each(ASKED)("%#", async (args, path) => {
    const { call } = await world.assistant(ben);
    const { body } = await world.api(ben).get(path());
    expect(body.code).toBeUndefined();
    expect(await call("graph_explore", args())).toEqual({ question: args().question, ...body });
  });

  test("says what a question lacks, and what does not belong to it", async () => {
    const { call } = await world.assistant(ada);
    expect(await call("graph_explore", { question: "path", entity_a: "x", memory_id: ids[0] })).toMatchObject({
      problem: {
        code: "INVALID_INPUT",
        errors: [
          { at: "entity_b", message: "is required for path" },
          { at: "memory_id", message: "goes with another question than path" },
        ],
      },
    });
  });

  test("tells it in a text too, what was stored in quotes on one line", async () => {
    const { client } = await world.assistant(ada);
    const text = async (args: Record<string, unknown>) => {
      const { content } = await client.callTool({ name: "graph_explore", arguments: args });
      return (content as { text: string }[])[0]?.text ?? "";
    };
    expect((await text({ question: "related", memory_id: ids[0] })).split("\n")).toEqual([
      "2 related, 2 shown.",
      `${ids[2]} note 1.10 "PostgreSQL 18 it is." by entity "PostgreSQL"`,
      `${ids[1]} note 1.10 "Sessions\\nend after half an hour." by entity "sessions"`,
    ]);
    expect((await text({ question: "timeline" })).split("\n")).toEqual([
      "1 events, 1 shown.",
      '2025-03-31 decision "2025-03-31: sessions live in PostgreSQL." with "PostgreSQL", "sessions"',
    ]);
    expect(await text({ question: "path", entity_a: "release", entity_b: "sessions" })).toStartWith(
      '2 hops between "Release" and "sessions".',
    );
    expect(await text({ question: "network", entity_name: "sessions" })).toContain('"PostgreSQL" in 1');
    expect(await text({ question: "similar", memory_id: ids[3] })).toBe("0 similar by their terms, 0 shown.");
    expect(await text({ question: "subgraph", memory_id: ids[0], via: "entity" })).toStartWith("3 memories, ");
  });
});
