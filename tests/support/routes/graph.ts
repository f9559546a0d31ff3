import { type Ground, PEOPLE, type Row, row, SPACE, type Thing } from "../access.ts";

/** Two memories of the owner's in the shared space that share everything but their words. */
async function pair({ memory, world }: Ground): Promise<Thing> {
  const thing = await memory({ category: "decision", metadata: { date: "2025" } });
  const { content, entity, tag } = thing;
  const said = { entities: [entity, `beside ${entity}`], tags: [tag, `beside ${tag}`], access_entity: SPACE };
  await world.api(PEOPLE.owner).post("/memories", { ...said, content: `more of ${content}` });
  await world.api(PEOPLE.owner).post("/memories", { ...said, content: `most of ${content}` });
  await world.api(PEOPLE.owner).post("/memories", { content: "apart", access_entity: SPACE });
  return thing;
}

const around: Row = { status: 200, make: pair, call: () => ({}), shows: ({ content }) => `more of ${content}` };
/** A list that is empty for others, or has only what is theirs. */
const list = (path: (thing: Thing) => string, shows?: Row["shows"]): Row => ({
  status: 200,
  otherwise: 200,
  make: pair,
  call: (thing) => ({ path: `/api/v1/graph/${path(thing)}` }),
  ...(shows && { shows }),
});
const entity: Row["shows"] = ({ entity }) => entity;

const happening = { name: "said", event_type: "release", start_date: "2025" };

export const rows: Record<string, Row> = {
  "GET /api/v1/memories/:id/related": around,
  "GET /api/v1/memories/:id/similar": around,
  "GET /api/v1/memories/:id/graph": around,

  "GET /api/v1/graph/health": { status: 200, otherwise: 200, call: () => ({}) },
  "GET /api/v1/graph/stats": list(() => "stats"),
  "GET /api/v1/graph/aggregate/:dimension": list(() => "aggregate/entity?limit=200", entity),
  "GET /api/v1/graph/tags/cooccurrence": list(
    () => "tags/cooccurrence?limit=200",
    ({ tag }) => tag,
  ),
  "GET /api/v1/graph/tags/:key/related": list(
    ({ tag }) => `tags/${tag}/related`,
    ({ tag }) => `beside ${tag}`,
  ),
  "GET /api/v1/graph/search/memories": list(
    ({ content }) => `search/memories?query=${content}`,
    ({ content }) => `more of ${content}`,
  ),
  "GET /api/v1/graph/search/entities": list(
    ({ entity }) => `search/entities?query=${entity}`,
    ({ entity }) => `beside ${entity}`,
  ),
  "GET /api/v1/graph/timeline": list(
    ({ entity }) => `timeline?entity_name=${entity}`,
    ({ content }) => content,
  ),
  "POST /api/v1/graph/events": {
    status: 201,
    call: ({ id }) => ({ body: { ...happening, memory_id: id } }),
    shows: ({ id }) => id,
  },
  "DELETE /api/v1/graph/events/:id": row({
    status: 204,
    async make({ memory, world }) {
      const thing = await memory();
      const { body } = await world.api(PEOPLE.owner).post("/graph/events", { ...happening, memory_id: thing.id });
      return { ...thing, event_id: body.id as string };
    },
    call: ({ event_id }) => ({ path: `/api/v1/graph/events/${event_id}` }),
  }),
  "GET /api/v1/graph/analytics/communities/entities": list(() => "analytics/communities/entities?limit=100", entity),
  "GET /api/v1/graph/analytics/communities/memories": list(
    () => "analytics/communities/memories?via=tag&limit=100",
    ({ content }) => content,
  ),
  "GET /api/v1/graph/analytics/similarity/entities": list(
    ({ entity }) => `analytics/similarity/entities?entity_name=${entity}`,
    ({ entity }) => `beside ${entity}`,
  ),
  "GET /api/v1/graph/analytics/connectivity": list(
    () => "analytics/connectivity?limit=100",
    () => SPACE, // others have memories there, about nothing
  ),
};
