import { type Ground, PEOPLE, type Row, row, SPACE, type Thing } from "../access.ts";

const other = (entity: string) => `beside ${entity}`;

/** Two memories of the owner's in the shared space about one thing and what is beside it. */
async function pair({ memory, world }: Ground): Promise<Thing> {
  const thing = await memory();
  const { content, entity } = thing;
  const said = { content: `more of ${content}`, entities: [entity, other(entity)], access_entity: SPACE };
  await world.api(PEOPLE.owner).post("/memories", said);
  return thing;
}

/** What is mentioned so often that it comes first, whatever other tests have left. */
async function often({ memory, world }: Ground): Promise<Thing> {
  const thing = await memory();
  const { content, entity } = thing;
  const memories = Array.from({ length: OFTEN }, (_, place) => ({
    content: `${place} of ${content}`,
    entities: [entity, other(entity)],
    access_entity: SPACE,
  }));
  await world.api(PEOPLE.owner).post("/memories/batch", { memories });
  return thing;
}
const OFTEN = 20;

interface Said extends Thing {
  readonly relation_id: string;
  readonly merge_id: string;
}

/** The same with a relation between the two, and another name that was merged. */
async function said(ground: Ground): Promise<Said> {
  const thing = await pair(ground);
  const { entity } = thing;
  const api = ground.world.api(PEOPLE.owner);
  const relate = (target: string) =>
    api.post(`/entities/${entity}/relations`, { target, type: "uses", access_entity: SPACE });
  const { body: relation } = await relate(other(entity));
  await relate(`also ${entity}`);
  const asked = { canonical: entity, variants: [`also ${entity}`], dry_run: false, access_entity: SPACE };
  const { body: merge } = await api.post("/entities/normalization/merge", asked);
  return { ...thing, relation_id: relation.id, merge_id: merge.merges[0].merge_id };
}

/** A list that is empty for others, or has only what is theirs. */
const list = (path: string): Row => ({
  status: 200,
  otherwise: 200,
  make: pair,
  call: () => ({ path: `/api/v1/entities${path}` }),
});
const of = (rest: string, shows: Row["shows"], make = pair): Row => ({
  status: 200,
  make,
  call: ({ entity }) => ({ path: `/api/v1/entities/${entity}${rest}` }),
  ...(shows && { shows }),
});
const beside: Row["shows"] = ({ entity }) => other(entity);
const entity: Row["shows"] = ({ entity }) => entity;

const merge: Row = {
  status: 200,
  make: pair,
  call: ({ entity }) => ({ body: { canonical: entity, variants: [other(entity)], dry_run: false } }),
  shows: () => SPACE,
};

export const rows: Record<string, Row> = {
  "GET /api/v1/entities": { ...list("?limit=200"), make: often, shows: entity },
  "GET /api/v1/entities/analytics/centrality": {
    ...list("/analytics/centrality?limit=100"),
    make: often,
    shows: entity,
  },
  "GET /api/v1/entities/analytics/pagerank": { ...list("/analytics/pagerank?limit=100"), make: often, shows: entity },
  "GET /api/v1/entities/normalization/duplicates": list("/normalization/duplicates"),
  "GET /api/v1/entities/normalization/semantic-duplicates": {
    ...list("/normalization/semantic-duplicates?threshold=0.6&limit=200"),
    shows: beside,
  },
  "POST /api/v1/entities/normalization/merge": merge,
  "POST /api/v1/entities/normalization/semantic-merge": merge,
  "POST /api/v1/entities/normalization/undo/:merge_id": row({
    status: 200,
    make: said,
    call: ({ merge_id }) => ({ path: `/api/v1/entities/normalization/undo/${merge_id}` }),
    shows: ({ entity }) => `also ${entity}`,
  }),
  "GET /api/v1/entities/path/:a/:b": {
    status: 200,
    make: pair,
    call: ({ entity }) => ({ path: `/api/v1/entities/path/${entity}/${encodeURIComponent(other(entity))}` }),
    shows: ({ content }) => `more of ${content}`,
  },
  "GET /api/v1/entities/:name": of("", beside),
  "GET /api/v1/entities/:name/network": of("/network", beside),
  "GET /api/v1/entities/:name/relations": of("/relations", beside, said),
  "POST /api/v1/entities/:name/relations": {
    status: 201,
    call: ({ id, entity }) => ({
      path: `/api/v1/entities/${entity}/relations`,
      body: { target: other(entity), type: "uses", memory_id: id },
    }),
    shows: ({ id }) => id,
  },
  "DELETE /api/v1/entities/:name/relations/:id": row({
    status: 204,
    make: said,
    call: ({ entity, relation_id }) => ({ path: `/api/v1/entities/${entity}/relations/${relation_id}` }),
  }),
  "GET /api/v1/entities/:name/memories": of("/memories", ({ content }) => `more of ${content}`),
};
