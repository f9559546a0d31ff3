import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { archiveOf, backups, membersOf, ourArchive } from "../support/archives.ts";
import { ada, cyd, eve, openWorld, otherAda, type Person, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const SPACE = "project:acme/web";
let people = 0;
/** Somebody in an org of their own, and team-mates of theirs. */
const somebody = (): Person => ({ org: `org ${++people}`, sub: `somebody ${people}`, grants: [SPACE] });
const mateOf = (person: Person): Person => ({ ...person, sub: `mate ${++people}` });
const NOTHING = {
  format: "coding-brain",
  dry_run: false,
  created: 0,
  updated: 0,
  skipped: 0,
  rejected: 0,
  reasons: [],
  relations: 0,
  events: 0,
  aliases: 0,
  links_left_out: 0,
  links: [],
};
const id = () => crypto.randomUUID() as string;
const memoriesOf = async (person: Person, query = "states=active,paused,archived&size=100") =>
  (await world.api(person).get(`/memories?${query}`)).body.items;
const contentsOf = async (person: Person) =>
  (await memoriesOf(person)).map(({ content }: { content: string }) => content).sort();

test("an id that the caller sees is that memory; any other becomes one of the caller's own, the same each time", async () => {
  const me = somebody();
  const { body: mine } = await world.api(me).post("/memories", { content: "mine" });
  const mate = mateOf(me);
  const { body: theirs } = await world.api(mate).post("/memories", { content: "theirs" });
  const lines = [
    { id: mine.id, content: "mine, otherwise" },
    { id: theirs.id, content: "under an id of another's" },
    { id: id(), content: "under an id nobody has" },
  ];
  const archive = await ourArchive(lines);
  expect(await backups(world, me).import(archive)).toEqual({
    status: 200,
    body: { ...NOTHING, created: 2, skipped: 1 },
  });
  expect(await contentsOf(me)).toEqual(["mine", "under an id nobody has", "under an id of another's"]);
  expect((await world.api(mate).get(`/memories/${theirs.id}`)).body.content).toBe("theirs");
  const ids = (await memoriesOf(me)).map((memory: { id: string }) => memory.id);
  expect(ids).not.toContain(theirs.id);
  // Nobody can tell an id that is taken out of their sight from one that is free.
  expect(ids).not.toContain(lines[2]?.id);

  expect((await backups(world, me).import(archive, "?mode=overwrite")).body).toEqual({
    ...NOTHING,
    updated: 1,
    skipped: 2,
  });
  expect(await contentsOf(me)).toEqual(["mine, otherwise", "under an id nobody has", "under an id of another's"]);
  expect((await world.api(me).get(`/memories/${mine.id}/history`)).body.total).toBe(2);
});

test("what is overwritten keeps what it was in its history, and goes where the archive says", async () => {
  const me = somebody();
  const { body: memory } = await world
    .api(me)
    .post("/memories", { content: `here ${me.sub}`, tags: { a: 1 }, thread: "t" });
  const line = { id: memory.id, content: `there ${me.sub}`, access_entity: SPACE, state: "archived", tags: ["b"] };
  const { body } = await backups(world, me).import(await ourArchive([line]), "?mode=overwrite");
  expect(body).toEqual({ ...NOTHING, updated: 1 });
  expect((await world.api(me).get(`/memories/${memory.id}`)).body).toMatchObject({
    content: `there ${me.sub}`,
    access_entity: SPACE,
    state: "archived",
    archived_at: expect.any(String),
    tags: { b: true },
    thread: null,
    revision: 2,
    created_at: memory.created_at,
  });
});

test("a dry run says what would happen, and leaves nothing, not even a space", async () => {
  const me: Person = { org: "acme", sub: "dry", grants: ["team:acme/dry"] };
  const archive = await ourArchive([
    { id: id(), content: "dry one", access_entity: "team:acme/dry" },
    { id: id(), content: "dry two", access_entity: "team:acme/other" },
  ]);
  const { body } = await backups(world, me).import(archive, "?dry_run=true");
  expect(body).toMatchObject({ dry_run: true, created: 1, rejected: 1 });
  expect(await world.owner`select from brain.spaces where access_entity like 'team:acme/%'`).toEqual([] as never);
  expect(await memoriesOf(me)).toEqual([]);
  expect((await backups(world, me).import(archive, "?dry_run=false")).body).toEqual({ ...body, dry_run: false });
  expect(await contentsOf(me)).toEqual(["dry one"]);
});

describe("what does not fit is rejected by itself", () => {
  const content = "fits";
  test.each([
    ["broken JSON", '{"id": ', "MALFORMED", undefined],
    ["a list", "[]", "MALFORMED", undefined],
    ["a text", '"x"', "MALFORMED", undefined],
    ["no id", { content }, "INVALID_INPUT", "id"],
    ["an id that is none", { id: "x", content }, "INVALID_INPUT", "id"],
    ["no content", { id: id() }, "INVALID_INPUT", "content"],
    ["blank content", { id: id(), content: " \n " }, "INVALID_INPUT", "content"],
    ["long content", { id: id(), content: "é".repeat(40_000) }, "INVALID_INPUT", "content"],
    ["NUL", { id: id(), content: "a\0b" }, "INVALID_INPUT", "content"],
    ["a lone surrogate", `{"id":"${id()}","content":"\\ud800"}`, "INVALID_INPUT", "content"],
    [
      "a number JavaScript would change",
      `{"id":"${id()}","content":"x","tags":{"n":1e400}}`,
      "INVALID_INPUT",
      "tags.n",
    ],
    ["a category that is none", { id: id(), content, category: "gossip" }, "INVALID_INPUT", "category"],
    ["a state that is none", { id: id(), content, state: "lost" }, "INVALID_INPUT", "state"],
    ["a source that is none", { id: id(), content, source: "rumour" }, "INVALID_INPUT", "source"],
    ["too much metadata", { id: id(), content, metadata: { a: "x".repeat(17_000) } }, "INVALID_INPUT", "metadata"],
    [
      "too deep",
      `{"id":"${id()}","content":"x","metadata":${'{"a":'.repeat(70)}1${"}".repeat(71)}`,
      "MALFORMED",
      undefined,
    ],
    ["another's space", { id: id(), content, access_entity: "user:ben" }, "FORBIDDEN_ACCESS_ENTITY", "access_entity"],
    [
      "a space not granted",
      { id: id(), content, access_entity: "org:acme" },
      "FORBIDDEN_ACCESS_ENTITY",
      "access_entity",
    ],
    ["a space that is none", { id: id(), content, access_entity: "nowhere" }, "INVALID_INPUT", "access_entity"],
    [
      "a relation that is none",
      { id: id(), content, relations: [{ from: "a", to: "b", type: "Uses!" }] },
      "INVALID_INPUT",
      "relations.0.type",
    ],
  ])("%s", async (_what, line, code, at) => {
    const me = somebody();
    const told = { id: id(), content: `beside it ${me.sub}` };
    const { status, body } = await backups(world, me).import(await ourArchive([told, line]));
    expect({ status, ...body }).toMatchObject({ status: 200, created: 1, rejected: 1 });
    expect(body.reasons).toEqual([
      {
        line: 2,
        id:
          typeof line === "object" && "id" in line ? line.id : (/[\da-f-]{36}/.exec(JSON.stringify(line))?.[0] ?? null),
        code,
        message: expect.any(String),
        ...(at && { at }),
      },
    ]);
    expect(await contentsOf(me)).toEqual([told.content]);
  });

  test("text that is no UTF-8, a line without end, an id given twice", async () => {
    const me = somebody();
    const one = id();
    const lines = [
      `{"id":"${one}","content":"first"}`,
      `{"id":"${one}","content":"again"}`,
      `{"id":"${one.toUpperCase()}","content":"and again"}`,
    ];
    const { body } = await backups(world, me).import(await ourArchive(lines));
    expect(body).toMatchObject({
      created: 1,
      rejected: 2,
      reasons: [
        { line: 2, code: "CONFLICT" },
        { line: 3, code: "CONFLICT" },
      ],
    });
    expect(await contentsOf(me)).toEqual(["first"]);

    const bytes = Buffer.concat([
      Buffer.from(`{"id":"${id()}","content":"`),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('"}\n'),
    ]);
    const archive = await archiveOf({ "memories.jsonl.gz": gzipSync(bytes) });
    expect((await backups(world, me).import(archive)).body).toMatchObject({
      created: 0,
      rejected: 1,
      reasons: [{ line: 1, id: null, code: "MALFORMED" }],
    });
  });

  test("a hundred of many reasons are told, and all are counted", async () => {
    const { body } = await backups(world, somebody()).import(await ourArchive(Array.from({ length: 250 }, () => "[]")));
    expect([body.rejected, body.reasons.length]).toEqual([250, 100]);
  });
});

describe("what memories replace", () => {
  test("is found in the archive, or here; whatever leads nowhere is left out and told of", async () => {
    const me = somebody();
    const { body: here } = await world.api(me).post("/memories", { content: `here ${me.sub}` });
    const [first, second, third, fourth] = [id(), id(), id(), id()];
    const lines = [
      { id: first, content: `first ${me.sub}`, supersedes: here.id },
      { id: second, content: `second ${me.sub}`, supersedes: first },
      { id: third, content: `third ${me.sub}`, supersedes: id() },
      { id: fourth, content: `fourth ${me.sub}`, supersedes: second.toUpperCase() },
    ];
    const archive = await ourArchive(lines);
    const { body } = await backups(world, me).import(archive);
    expect(body).toMatchObject({
      created: 4,
      links_left_out: 1,
      links: [{ line: 3, id: third, code: "NOT_FOUND", at: "supersedes" }],
    });
    const links = (await memoriesOf(me)).map((memory: Record<string, string>) => [
      memory.content?.split(" ")[0],
      memory.superseded_by !== null,
    ]);
    expect(Object.fromEntries(links)).toEqual({ here: true, first: true, second: true, third: false, fourth: false });
    expect((await backups(world, me).import(archive, "?mode=overwrite")).body).toMatchObject({
      updated: 0,
      skipped: 4,
    });
  });

  test("never goes round in a circle", async () => {
    const me = somebody();
    const [one, other] = [id(), id()];
    const archive = await ourArchive([
      { id: one, content: `one ${me.sub}`, supersedes: other },
      { id: other, content: `other ${me.sub}`, supersedes: one },
    ]);
    const { body } = await backups(world, me).import(archive);
    expect(body).toMatchObject({ created: 2, links_left_out: 1, links: [{ line: 1 }] });
    // Now both are here, and what is older cannot replace what is newer.
    expect((await backups(world, me).import(archive, "?mode=overwrite")).body).toMatchObject({ links_left_out: 1 });
    const [newer, older] = await memoriesOf(me);
    expect([newer.supersedes, older.supersedes]).toEqual([older.id, null]);
    // Itself neither.
    const self = id();
    const { body: selfish } = await backups(world, me).import(
      await ourArchive([{ id: self, content: `self ${me.sub}`, supersedes: self }]),
    );
    expect(selfish).toMatchObject({ created: 1, links_left_out: 1 });
  });
});

test("what says exactly what is there already is not stored again, and what points to it finds that", async () => {
  const me = somebody();
  const { body: there } = await world.api(me).post("/memories", { content: `said ${me.sub}` });
  const [one, other] = [id(), id()];
  const archive = await ourArchive([
    { id: one, content: `said ${me.sub}` },
    { id: other, content: `newer ${me.sub}`, supersedes: one },
    { id: id(), content: `said ${me.sub}`, state: "archived" },
  ]);
  expect((await backups(world, me).import(archive)).body).toMatchObject({ created: 2, skipped: 1, links_left_out: 0 });
  expect((await world.api(me).get(`/memories/${there.id}`)).body.superseded_by).toEqual(expect.any(String));
  // Overwriting into a twin is refused by itself.
  const { body: two } = await world.api(me).post("/memories", { content: `two ${me.sub}` });
  const twin = await ourArchive([
    { id: two.id, content: `said ${me.sub}` },
    { id: id(), content: `fine ${me.sub}` },
  ]);
  expect((await backups(world, me).import(twin, "?mode=overwrite")).body).toMatchObject({
    created: 1,
    updated: 0,
    rejected: 1,
    reasons: [{ line: 1, id: two.id, code: "CONFLICT" }],
  });
});

test("one space for all of it, if it is granted", async () => {
  const me = somebody();
  const archive = await ourArchive([
    { id: id(), content: `a ${me.sub}`, access_entity: "user:zoe" },
    { id: id(), content: `b ${me.sub}`, access_entity: "org:elsewhere" },
  ]);
  expect((await backups(world, me).import(archive)).body).toMatchObject({ created: 0, rejected: 2 });
  const refused = await backups(world, me).import(archive, "?access_entity=org:acme");
  expect([refused.status, refused.body.code]).toEqual([403, "FORBIDDEN_ACCESS_ENTITY"]);
  expect(
    (await backups(world, me).import(archive, `?access_entity=user:${encodeURIComponent(me.sub)}`)).body,
  ).toMatchObject({ created: 2, rejected: 0 });
  expect(
    (await memoriesOf(me)).map((memory: Record<string, string>) => [memory.access_entity, memory.owner, memory.app]),
  ).toEqual(Array(2).fill([`user:${me.sub}`, me.sub, "rest"]));
});

test("deleting by an archive needs the scope for it", async () => {
  const me = somebody();
  const { body: memory } = await world.api(me).post("/memories", { content: `kept ${me.sub}` });
  const archive = await ourArchive([{ id: memory.id, content: `kept ${me.sub}`, state: "deleted" }]);
  const without = { ...me, scopes: ["backup:write", "memories:read"] };
  expect((await backups(world, without).import(archive, "?mode=overwrite")).body).toMatchObject({
    rejected: 1,
    reasons: [{ code: "INSUFFICIENT_SCOPE", at: "state" }],
  });
  expect((await backups(world, me).import(archive, "?mode=overwrite")).body).toMatchObject({ updated: 1 });
  expect((await world.api(me).get(`/memories/${memory.id}`)).status).toBe(404);
  // And back: it was deleted a moment ago.
  const back = await ourArchive([{ id: memory.id, content: `kept ${me.sub}` }]);
  expect((await backups(world, me).import(back, "?mode=overwrite")).body).toMatchObject({ updated: 1 });
  expect((await world.api(me).get(`/memories/${memory.id}`)).body).toMatchObject({ state: "active", deleted_at: null });
});

test("a memory that was moved out of sight is imported anew, as often as that happens", async () => {
  const me = somebody();
  const mate = mateOf(me);
  const archive = await ourArchive([{ id: id(), content: `shared ${me.sub}`, access_entity: SPACE }]);
  for (let round = 1; round <= 6; round++) {
    expect((await backups(world, me).import(archive)).body).toMatchObject({ created: 1 });
    expect((await backups(world, me).import(archive)).body).toMatchObject({ created: 0, skipped: 1 });
    const [mine] = (await memoriesOf(mate, `search_query="${me.sub}"`)).filter(
      (memory: Record<string, string>) => memory.access_entity === SPACE,
    );
    // Not the content, or it would be a twin of the one before.
    await world
      .api(mate)
      .put(`/memories/${mine.id}`, { access_entity: `user:${mate.sub}`, content: `${me.sub} ${round}` });
  }
});

test("relations and events are added once, and those that name nothing are left out", async () => {
  const me = somebody();
  const event = {
    id: id(),
    name: "released",
    type: "release",
    start_date: "2025-02",
    end_date: null,
    description: null,
    entities: ["Web App", "..."],
  };
  const lines = [
    {
      id: id(),
      content: `says ${me.sub}`,
      relations: [
        { from: "Web App", to: "web-app 2", type: "follows" },
        { from: "...", to: "x", type: "follows" },
      ],
      events: [event, { ...event, id: id(), start_date: "2025-02-31" }],
    },
  ];
  const graph = [
    { kind: "relation", from: "a", to: "b", type: "uses", access_entity: `user:${me.sub}` },
    { kind: "relation", from: "a", to: "b", type: "uses", access_entity: "org:acme" },
    { kind: "event", ...event, id: id(), access_entity: `user:${me.sub}` },
    { kind: "gossip", access_entity: `user:${me.sub}` },
  ];
  const archive = await ourArchive(lines, { "graph.jsonl": graph.map((line) => `${JSON.stringify(line)}\n`).join("") });
  const { body } = await backups(world, me).import(archive);
  expect(body).toMatchObject({
    created: 1,
    relations: 2,
    events: 2,
    rejected: 2,
    reasons: [
      { line: 2, id: null, code: "FORBIDDEN_ACCESS_ENTITY" },
      { line: 4, id: null, code: "INVALID_INPUT" },
    ],
    links_left_out: 2,
    links: [{ at: "relations" }, { at: "events" }],
  });
  expect((await backups(world, me).import(archive, "?mode=overwrite")).body).toMatchObject({
    relations: 0,
    events: 0,
    skipped: 1,
  });
  const rows = await world.owner`
    select access_entity, from_key, to_key, memory_id is null as is_alone from brain.relations
    join brain.spaces on spaces.org_id = relations.org_id and spaces.id = space_id
    where owner = ${me.sub} order by from_key`;
  expect([...rows]).toEqual([
    { access_entity: `user:${me.sub}`, from_key: "a", to_key: "b", is_alone: true },
    { access_entity: `user:${me.sub}`, from_key: "webapp", to_key: "webapp2", is_alone: false },
  ]);
});

test("names that were one are one again, unless something else has been decided here", async () => {
  const me = somebody();
  const home = `user:${me.sub}`;
  const alias = (name: string, of: string) => ({ kind: "alias", access_entity: home, name, of });
  const graph = [
    alias("Postgres", "PostgreSQL"),
    alias("PG", "PostgreSQL"),
    alias("a", "b"),
    alias("b", "a"),
    alias("x", "X"),
    alias("js", "JavaScript"),
  ];
  await world.api(me).post("/memories", { content: "about both", entities: ["js", "ECMAScript"] });
  await world
    .api(me)
    .post("/entities/normalization/merge", { canonical: "ECMAScript", variants: ["js"], dry_run: false });
  const archive = await ourArchive([{ id: id(), content: "we use pg", entities: ["PG"] }], {
    "graph.jsonl": graph.map((line) => `${JSON.stringify(line)}\n`).join(""),
  });
  expect((await backups(world, me).import(archive)).body).toEqual({ ...NOTHING, created: 1, aliases: 2 });
  expect((await world.api(me).get("/entities/postgres")).body).toMatchObject({ name: "PostgreSQL", memory_count: 1 });
  expect((await world.api(me).get("/entities/js")).body).toMatchObject({ name: "ECMAScript" });
  expect((await backups(world, me).import(archive)).body).toEqual({ ...NOTHING, skipped: 1, aliases: 0 });
  const to = mateOf({ ...me, org: "aliases" });
  const again = await backups(world, me).export();
  expect(
    (await backups(world, to).import(again, `?access_entity=user:${encodeURIComponent(to.sub)}`)).body,
  ).toMatchObject({ aliases: 3 });
});

describe("the earlier system's archives, and mem0 OpenMemory's", () => {
  const metadata = {
    category: " Decision ",
    scope: "project",
    access_entity: SPACE,
    artifact_type: "service",
    artifact_ref: "web",
    entity: "PostgreSQL",
    evidence: "https://a.example, ADR-1",
    tags: ["db", "sql"],
    source: "inference",
    re: "x",
    src: "x",
    ev: "x",
    from: "x",
    was: "x",
    org_id: "old",
    source_app: "openmemory",
    vault: "SOVEREIGNTY_CORE",
    circuit: 3,
  };
  const memory = (more: object = {}) => ({
    id: id(),
    content: "we use PostgreSQL",
    metadata,
    state: "active",
    created_at: "2025-03-31T10:00:00+00:00",
    updated_at: null,
    ...more,
  });
  const expected = {
    content: "we use PostgreSQL",
    category: "decision",
    access_entity: SPACE,
    artifact_type: "service",
    artifact_ref: "web",
    entities: ["PostgreSQL"],
    evidence: ["https://a.example", "ADR-1"],
    tags: { db: true, sql: true },
    source: "inference",
    metadata: {
      source_app: "openmemory",
      vault: "SOVEREIGNTY_CORE",
      circuit: 3,
      earlier: { created_at: "2025-03-31T10:00:00+00:00", app: "cursor", categories: ["ai"] },
    },
  };

  test("by memories.jsonl.gz, in any folder", async () => {
    const lines = [
      memory({ app: "cursor", categories: ["ai"] }),
      memory({ content: "gone", state: "deleted" }),
      memory({ content: "plain", metadata: null, state: "paused" }),
    ];
    const gz = gzipSync(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    const archive = await archiveOf({
      "export/2025/memories.json": JSON.stringify({ memories: [] }),
      "export/2025/memories.jsonl.gz": gz,
    });
    const me: Person = { org: "earlier gz", sub: "ada", grants: [SPACE] };
    expect((await backups(world, me).import(archive)).body).toEqual({ ...NOTHING, format: "earlier", created: 3 });
    const [plain, structured] = await memoriesOf(me);
    expect(structured).toMatchObject(expected);
    expect(structured.metadata).toEqual(expected.metadata);
    expect(plain).toMatchObject({
      content: "plain",
      state: "paused",
      source: "import",
      access_entity: "user:ada",
      category: "note",
    });
    expect((await backups(world, me).import(archive, "?mode=overwrite")).body).toMatchObject({
      created: 0,
      updated: 0,
      skipped: 3,
    });
  });

  test("by memories.json alone, which may be indented and name its categories after the memories", async () => {
    const category = { id: id(), name: "ai", description: null };
    const document = {
      user: { id: id(), user_id: "x", memories: "not these" },
      apps: [],
      memories: [
        memory({ category_ids: [category.id, id()] }),
        "nonsense",
        memory({ content: '[{]}\\"', metadata: {} }),
      ],
      categories: [category],
      export_meta: { version: "1" },
    };
    const archive = await archiveOf({ "memories.json": JSON.stringify(document, null, 2) });
    const me: Person = { org: "earlier json", sub: "ada", grants: [SPACE] };
    const { body } = await backups(world, me).import(archive);
    expect(body).toMatchObject({
      format: "earlier",
      created: 2,
      rejected: 1,
      reasons: [{ line: 2, id: null, code: "MALFORMED" }],
    });
    const [odd, structured] = await memoriesOf(me);
    expect(odd.content).toBe('[{]}\\"');
    const { app: _, ...past } = expected.metadata.earlier;
    expect(structured).toMatchObject({ ...expected, metadata: { ...expected.metadata, earlier: past } });
  });

  test("what does not fit our fields stays in the metadata; ids may be any text", async () => {
    const odd = {
      category: "personal",
      tags: { nested: { a: 1 } },
      entity: "x".repeat(300),
      source: "telepathy",
      artifact_type: "planet",
      access_entity: "vault:7",
    };
    const gz = gzipSync(JSON.stringify({ id: "42", content: "odd", metadata: odd, state: "active" }));
    const archive = await archiveOf({ "memories.jsonl.gz": gz });
    const me: Person = { org: "earlier odd", sub: "ada" };
    expect((await backups(world, me).import(archive)).body).toMatchObject({ created: 1 });
    expect((await memoriesOf(me))[0]).toMatchObject({
      content: "odd",
      metadata: odd,
      category: "note",
      entities: [],
      tags: {},
    });
    expect((await backups(world, me).import(archive)).body).toMatchObject({ created: 0, skipped: 1 });
  });

  test("what we export is read by the shape they have: memories.json alone", async () => {
    const from: Person = { org: "shape from", sub: "ada", grants: [SPACE] };
    await world.api(from).post("/memories", {
      content: "told",
      category: "decision",
      entities: ["A", "B"],
      tags: { n: 1.5 },
      thread: "t",
      code_refs: [{ path: "a.ts" }],
      access_entity: SPACE,
      metadata: { x: 1 },
    });
    const { "memories.json": document = "" } = await membersOf(await backups(world, from).export());
    const to: Person = { ...from, org: "shape to" };
    expect((await backups(world, to).import(await archiveOf({ "memories.json": document }))).body).toMatchObject({
      format: "earlier",
      created: 1,
    });
    expect((await memoriesOf(to))[0]).toMatchObject({
      content: "told",
      category: "decision",
      entities: ["A", "B"],
      tags: { n: 1.5 },
      thread: "t",
      code_refs: [{ path: "a.ts" }],
      access_entity: SPACE,
      source: "user",
    });
  });
});

test("two imports at once: of one user the second is told to wait, of two users each has its own", async () => {
  const me = somebody();
  const lines = Array.from({ length: 300 }, (_, index) => ({
    id: id(),
    content: `at once ${index}`,
    access_entity: SPACE,
  }));
  const archive = await ourArchive(lines);
  const [one, other] = await Promise.all([backups(world, me).import(archive), backups(world, me).import(archive)]);
  expect([one.status, other.status].sort()).toEqual([200, 409]);
  const both = await Promise.all([mateOf(me), mateOf(me)].map((person) => backups(world, person).import(archive)));
  expect(both.map(({ status, body }) => [status, body.skipped])).toEqual([
    [200, 300],
    [200, 300],
  ]);
  const anew = await ourArchive(lines.map((line) => ({ ...line, content: `${line.content} anew` })));
  const raced = await Promise.all([mateOf(me), mateOf(me)].map((person) => backups(world, person).import(anew)));
  expect(raced.map(({ status }) => status)).toEqual([200, 200]);
  expect(raced.reduce((sum, { body }) => sum + body.created, 0)).toBe(300);
});

test("an import that fails at its end has left nothing", async () => {
  const me = somebody();
  await world.api(me).post("/memories", { content: `before ${me.sub}` });
  await world.owner.unsafe(
    `alter table brain.memories add constraint no_bombs check (content <> 'the bomb ${me.sub}')`,
  );
  const lines = Array.from({ length: 500 }, (_, index) => ({
    id: id(),
    content: index === 499 ? `the bomb ${me.sub}` : `${index} ${me.sub}`,
  }));
  expect((await backups(world, me).import(await ourArchive(lines))).status).toBe(500);
  expect(await contentsOf(me)).toEqual([`before ${me.sub}`]);
  await world.owner`alter table brain.memories drop constraint no_bombs`;
});

test("a paused app imports nothing", async () => {
  const me = somebody();
  await world.api(me).post("/memories", { content: `paused ${me.sub}` });
  await world.owner`update brain.apps set is_active = false where owner_id = (select id from brain.users where sub = ${me.sub})`;
  const { status, body } = await backups(world, me).import(await ourArchive([{ id: id(), content: "x" }]));
  expect([status, body.code]).toEqual([403, "APP_PAUSED"]);
});

test("strangers to each other get the same answer for the same archive, whoever has what", async () => {
  const { body: memory } = await world.api(ada).post("/memories", { content: "ada's secret", access_entity: SPACE });
  const archive = await ourArchive([
    { id: memory.id, content: "a guess" },
    { id: id(), content: "another guess", supersedes: memory.id },
    { id: id(), content: "ada's secret" },
  ]);
  for (const person of [cyd, eve, otherAda]) {
    const { body } = await backups(world, person).import(archive, "?mode=overwrite&dry_run=true");
    expect(body).toMatchObject({ created: 3, updated: 0, links_left_out: 0 });
  }
  expect((await world.api(ada).get(`/memories/${memory.id}`)).body.content).toBe("ada's secret");
});
