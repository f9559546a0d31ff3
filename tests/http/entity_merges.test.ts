import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ada, ben, cyd, eve, openWorld, type Person, samely, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const SHARED = "project:acme/web";
const MERGE = "/entities/normalization/merge";
let orgs = 0;
/** Ada and ben of an org of their own, so that no test sees another's names. */
const team = () => {
  const org = `team-${++orgs}`;
  return [
    { ...ada, org },
    { ...ben, org },
  ] as const;
};
const remember = async (person: Person, entities: string[], access_entity = SHARED) =>
  (await world.api(person).post("/memories", { content: `Note ${crypto.randomUUID()}.`, entities, access_entity }))
    .body;
const merge = async (person: Person, body: object) => (await world.api(person).post(MERGE, body)).body;
const undo = (person: Person, merge_id: string) =>
  world.api(person).post(`/entities/normalization/undo/${merge_id}`, undefined);
const names = async (person: Person) =>
  (await world.api(person).get("/entities")).body.items.map(
    ({ name, memory_count }: { name: string; memory_count: number }) => `${name} ${memory_count}`,
  );

describe("a merge", () => {
  test("is a dry run unless told otherwise, and tells what it then does", async () => {
    const [who] = team();
    await remember(who, ["Kubernetes"]);
    await remember(who, ["k8s", "helm"]);
    await remember(who, ["k8s", "Kubernetes"]);
    await world.api(who).post("/entities/k8s/relations", { target: "helm", type: "uses", access_entity: SHARED });
    const asked = { canonical: "kubernetes", variants: ["K8S"] };
    const told = {
      merge_id: null,
      canonical: "Kubernetes",
      access_entities: [SHARED],
      variants: [{ name: "k8s", memory_count: 2, relation_count: 1, event_count: 0, why: null, confidence: null }],
      memory_count: 2,
      relation_count: 1,
      event_count: 0,
    };
    const rest = { method: "strings", total: 1, is_cut: false };
    expect(await merge(who, asked)).toEqual({ dry_run: true, merges: [told], ...rest });
    expect(await names(who)).toEqual(["k8s 2", "Kubernetes 2", "helm 1"]);
    expect(await merge(who, { ...asked, dry_run: false })).toEqual({
      dry_run: false,
      merges: [{ ...told, merge_id: expect.any(String) }],
      ...rest,
    });
    expect(await names(who)).toEqual(["Kubernetes 3", "helm 2"].map((line) => line.replace("helm 2", "helm 1")));
  });

  test("lets every spelling lead to the canonical entity, and its mentions and relations count for it", async () => {
    const [who] = team();
    await remember(who, ["Postgres", "ledger"]);
    await remember(who, ["PostgreSQL", "ledger", "Postgres"]);
    await world
      .api(who)
      .post("/entities/Postgres/relations", { target: "ledger", type: "stores", access_entity: SHARED });
    await world
      .api(who)
      .post("/entities/ledger/relations", { target: "PostgreSQL", type: "uses", access_entity: SHARED });
    await merge(who, { canonical: "PostgreSQL", variants: ["Postgres"], dry_run: false });
    for (const name of ["postgres", "Postgre SQL"])
      expect((await world.api(who).get(`/entities/${name}`)).body).toMatchObject({
        name: "PostgreSQL",
        other_names: ["Postgres"],
        memory_count: 2,
        relation_count: 2,
        network: [{ name: "ledger", memory_count: 2 }],
        relations: [
          { direction: "incoming", type: "uses", target: "ledger" },
          { direction: "outgoing", type: "stores", target: "ledger" },
        ],
      });
    expect(
      (await world.api(who).get("/entities/ledger/relations")).body.items.map(
        ({ target }: { target: string }) => target,
      ),
    ).toEqual(["PostgreSQL", "PostgreSQL"]);
    expect((await world.api(who).get("/memories?entity=postgres")).body.total).toBe(2);
    expect((await world.api(who).get("/entities/path/postgres/ledger")).body).toMatchObject({
      hops: 1,
      steps: [{ memory_count: 2 }],
    });
    expect((await world.api(who).get("/entities/analytics/centrality")).body.items).toEqual([
      { name: "ledger", connections: 1, mention_count: 2, memory_count: 2 },
      { name: "PostgreSQL", connections: 1, mention_count: 2, memory_count: 2 },
    ]);
    await remember(who, ["postgres"]);
    expect(await names(who)).toEqual(["PostgreSQL 3", "ledger 2"]);
  });

  test("is undone exactly, by a team-mate too, and once", async () => {
    const [one, mate] = team();
    await remember(one, ["aye", "bee"]);
    await remember(one, ["cee"]);
    const before = await names(one);
    const first = await merge(one, { canonical: "bee", variants: ["cee"], dry_run: false });
    const second = await merge(one, { canonical: "aye", variants: ["bee"], dry_run: false });
    expect(second.merges[0]).toMatchObject({ memory_count: 2, variants: [{ name: "bee", memory_count: 2 }] });
    expect(await names(one)).toEqual(["aye 2"]);
    const early = await undo(one, first.merges[0].merge_id);
    expect([early.status, early.body.code, early.body.hint]).toEqual([409, "CONFLICT", "Undo the later one first."]);
    expect((await undo(mate, second.merges[0].merge_id)).body).toEqual({
      merge_id: second.merges[0].merge_id,
      canonical: "aye",
      variants: ["bee", "cee"],
      access_entities: [SHARED],
    });
    expect(await names(one)).toEqual(["bee 2", "aye 1"]);
    expect((await undo(one, first.merges[0].merge_id)).status).toBe(200);
    expect(await names(one)).toEqual(before);
    const twice = await undo(one, first.merges[0].merge_id);
    expect([twice.status, twice.body.code]).toEqual([409, "CONFLICT"]);
  });

  test("goes through every space that has a variant, or through one; each sees and undoes what is theirs", async () => {
    const [one, mate] = team();
    for (const space of [SHARED, "user:ada"]) {
      await remember(one, ["redis"], space);
      await remember(one, ["redis cache"], space);
    }
    const { merges } = await merge(one, { canonical: "redis", variants: ["redis cache"], dry_run: false });
    expect(merges[0].access_entities).toEqual([SHARED, "user:ada"]);
    expect((await undo(mate, merges[0].merge_id)).body.access_entities).toEqual([SHARED]);
    expect(await names(mate)).toEqual(["redis 1", "redis cache 1"]);
    expect(await names(one)).toEqual(["redis 3", "redis cache 1"]);
    expect((await undo(one, merges[0].merge_id)).body.access_entities).toEqual(["user:ada"]);
    expect(await names(one)).toEqual(["redis 2", "redis cache 2"]);
    const in_one = await merge(one, {
      canonical: "redis",
      variants: ["redis cache"],
      dry_run: false,
      access_entity: "user:ada",
    });
    expect(in_one.merges[0].access_entities).toEqual(["user:ada"]);
    expect(await names(mate)).toEqual(["redis 1", "redis cache 1"]);
  });

  test("of what is merged already changes nothing", async () => {
    const [who] = team();
    await remember(who, ["aye", "bee"]);
    await merge(who, { canonical: "aye", variants: ["bee"], dry_run: false });
    expect((await merge(who, { canonical: "aye", variants: ["bee"], dry_run: false })).merges).toEqual([
      expect.objectContaining({ merge_id: null, access_entities: [], memory_count: 0 }),
    ]);
  });

  test("two that cross are one: none leads round in a circle", async () => {
    const [who] = team();
    await remember(who, ["aye", "bee"]);
    const answers = await Promise.all([
      world.api(who).post(MERGE, { canonical: "aye", variants: ["bee"], dry_run: false }),
      world.api(who).post(MERGE, { canonical: "bee", variants: ["aye"], dry_run: false }),
    ]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    expect((await names(who)).length).toBe(1);
  });
});

describe("a merge is refused", () => {
  const who = { ...ada, org: "refusals" };
  beforeAll(async () => {
    for (const entities of [["aye"], ["bee"], ["cee"], ["dee"]]) await remember(who, entities);
    await merge(who, { canonical: "aye", variants: ["bee"], dry_run: false });
  });

  test.each([
    ["of a variant merged elsewhere", { canonical: "cee", variants: ["bee"] }, ["aye", SHARED]],
    ["into what is itself merged", { canonical: "bee", variants: ["cee"] }, ["aye", SHARED]],
    ["of an entity into what was merged into it", { canonical: "bee", variants: ["aye"] }, ["aye", SHARED]],
  ])("%s", async (_what, body, options) => {
    for (const dry_run of [true, false]) {
      const answer = await world.api(who).post(MERGE, { ...body, dry_run });
      expect([answer.status, answer.body.code, answer.body.options]).toEqual([409, "CONFLICT", options]);
    }
  });

  test.each([
    ["canonical is a variant of itself", { canonical: "dee", variants: ["cee", "D-EE"] }, ["variants.1"]],
    ["no names", {}, ["canonical", "variants"]],
    ["no variants", { canonical: "dee" }, ["variants"]],
    ["an empty list", { canonical: "dee", variants: [] }, ["variants"]],
    ["names beside auto", { auto: true, canonical: "dee", variants: ["cee"] }, ["canonical", "variants"]],
    ["too many", { canonical: "dee", variants: Array(101).fill("cee") }, ["variants"]],
    ["a threshold where it means nothing", { auto: true, threshold: 0.5 }, ["threshold"]],
    ["a space that is none", { auto: true, access_entity: "galaxy:x" }, ["access_entity"]],
  ])("with %s", async (_what, body, at) => {
    const answer = await world.api(who).post(MERGE, body);
    expect([answer.status, answer.body.errors?.map((error: { at: string }) => error.at)]).toEqual([422, at]);
  });

  test("of names that are not there, or a colleague's, or another org's: one answer", async () => {
    await remember({ ...cyd, org: "refusals" }, ["cyd's"], "user:cyd");
    await remember(eve, ["eve's"]);
    const expected = await world.api(who).post(MERGE, { canonical: "dee", variants: ["nothing"] });
    expect(samely(expected.body)).toMatchObject({ status: 404, code: "NOT_FOUND", detail: "There is no such entity." });
    for (const body of [
      { canonical: "dee", variants: ["cyd's"] },
      { canonical: "dee", variants: ["eve's"] },
      { canonical: "cyd's", variants: ["dee"] },
      { canonical: "dee", variants: ["cee"], access_entity: "user:cyd" },
      { canonical: "dee", variants: ["cee"], access_entity: "team:nowhere" },
    ])
      expect(samely((await world.api(who).post(MERGE, { ...body, dry_run: false })).body)).toEqual(
        samely(expected.body),
      );
  });

  test("an undo of another's merge is one of none", async () => {
    const theirs = { ...cyd, org: "refusals" };
    await remember(theirs, ["x1", "x2"], "user:cyd");
    const { merges } = await merge(theirs, { canonical: "x1", variants: ["x2"], dry_run: false });
    const expected = await undo(who, crypto.randomUUID());
    expect(samely(expected.body)).toMatchObject({ status: 404, code: "NOT_FOUND", detail: "There is no such merge." });
    for (const person of [who, eve])
      expect(samely((await undo(person, merges[0].merge_id)).body)).toEqual(samely(expected.body));
    expect(await names(theirs)).toEqual(
      ["x1 1"].map(() => expect.stringMatching(/^(x1|cyd's) 1$/)).concat([expect.stringMatching(/^(x1|cyd's) 1$/)]),
    );
  });
});

describe("duplicates", () => {
  const who = { ...ada, org: "duplicates" };
  beforeAll(async () => {
    for (const entities of [
      ["retry policy", "Redis", "Kubernetes", "src/a.ts", "OAuth 1"],
      ["retry policies", "Redis Server", "Kubernets", "src/b.ts", "OAuth 2"],
      ["retry policy", "Redis", "Kubernetes"],
    ])
      await remember(who, entities);
    await remember(who, ["Redis"], "user:ada");
  });

  test("say why and how sure, the surest first, of one space each", async () => {
    expect((await world.api(who).get("/entities/normalization/duplicates")).body).toEqual({
      items: [
        {
          access_entity: SHARED,
          canonical: "retry policy",
          memory_count: 2,
          variants: [{ name: "retry policies", memory_count: 1, why: "plural", confidence: 0.9 }],
        },
        {
          access_entity: SHARED,
          canonical: "Redis",
          memory_count: 2,
          variants: [{ name: "Redis Server", memory_count: 1, why: "domain_word", confidence: 0.85 }],
        },
      ],
      total: 2,
      method: "strings",
      threshold: 0.85,
      is_cut: false,
    });
  });

  test("less sure ones are found by a lower threshold", async () => {
    const found = async (query: string) =>
      (await world.api(who).get(`/entities/normalization/semantic-duplicates${query}`)).body;
    expect(await found("")).toMatchObject({
      total: 3,
      threshold: 0.7,
      items: { 2: { canonical: "Kubernetes", variants: [{ name: "Kubernets", why: "trigrams" }] } },
    });
    expect((await found("?threshold=0.95")).total).toBe(0);
    expect(await found("?limit=1")).toMatchObject({ total: 3, items: [{ canonical: "retry policy" }] });
    expect((await found("?access_entity=user:ada")).total).toBe(0);
    expect((await found("?access_entity=team:nowhere")).total).toBe(0);
    expect((await world.api(who).get("/entities/normalization/semantic-duplicates?threshold=2")).status).toBe(422);
  });

  test("are merged by auto, and are gone then", async () => {
    const dry = await merge(who, { auto: true });
    expect(
      dry.merges.map(({ canonical, memory_count }: { canonical: string; memory_count: number }) => [
        canonical,
        memory_count,
      ]),
    ).toEqual([
      ["retry policy", 1],
      ["Redis", 1],
    ]);
    const { merges } = await merge(who, { auto: true, dry_run: false });
    expect(new Set(merges.map(({ merge_id }: { merge_id: string }) => merge_id)).size).toBe(2);
    expect((await merge(who, { auto: true })).merges).toEqual([]);
    const semantic = await world
      .api(who)
      .post("/entities/normalization/semantic-merge", { auto: true, threshold: 0.75, dry_run: false });
    expect(semantic.body.merges).toEqual([
      expect.objectContaining({
        canonical: "Kubernetes",
        variants: [expect.objectContaining({ why: "trigrams", confidence: expect.any(Number) })],
      }),
    ]);
    for (const { merge_id } of [...merges, ...semantic.body.merges])
      expect((await undo(who, merge_id)).status).toBe(200);
    expect((await world.api(who).get("/entities/normalization/duplicates")).body.total).toBe(2);
  });
});

test("a name is completed by what was merged into it, and only while a memory mentions it", async () => {
  const [who] = team();
  await remember(who, ["Postgres"]);
  await remember(who, ["PostgreSQL", "pnpm"]);
  await merge(who, { canonical: "PostgreSQL", variants: ["Postgres"], dry_run: false });
  const { client } = await world.assistant(who);
  const completed = async (value: string) => {
    const ref = { type: "ref/prompt", name: "review_memories" } as const;
    return (await client.complete({ ref, argument: { name: "entity", value } })).completion.values;
  };
  expect(await completed("post")).toEqual(["PostgreSQL"]);
  expect(await completed("p")).toEqual(["pnpm", "PostgreSQL"]);
  await world.owner`update brain.memories set state = 'archived' where org_id = app.org_key(${who.org})`;
  expect(await completed("p")).toEqual([]);
});
