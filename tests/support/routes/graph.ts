import { type Ground, PEOPLE, type Row, row, SPACE, type Thing } from "../access.ts";

/**
 * A dated decision of the owner's in the shared space, and a memory that has a tag of it and mentions so many names
 * beside its entity. Each is mentioned once and mostly alone: what other routes list first stays as it is.
 */
const pair =
  (names = 1) =>
  async ({ memory, world }: Ground): Promise<Thing> => {
    const thing = await memory({ category: "decision", metadata: { date: "2025" } });
    const { content, entity, tag } = thing;
    const entities = ["beside", "near", "under"].slice(0, names).map((place) => `${place} ${entity}`);
    const said = { content: `more of ${content}`, entities, tags: [tag, `beside ${tag}`], access_entity: SPACE };
    await world.api(PEOPLE.owner).post("/memories", said);
    return thing;
  };

const around: Row = { status: 200, make: pair(), call: () => ({}), shows: ({ content }) => `more of ${content}` };
/** A list that is empty for others, or has only what is theirs. */
const list = (path: (thing: Thing) => string, shows?: Row["shows"], names = 1): Row => ({
  status: 200,
  otherwise: 200,
  make: pair(names),
  call: (thing) => ({ path: `/api/v1/graph/${path(thing)}` }),
  ...(shows && { shows }),
});

const happening = { name: "said", event_type: "release", start_date: "2025" };

export const rows: Record<string, Row> = {
  "GET /api/v1/memories/:id/related": around,
  "GET /api/v1/memories/:id/similar": around,
  "GET /api/v1/memories/:id/graph": around,

  "GET /api/v1/graph/health": { status: 200, otherwise: 200, call: () => ({}) },
  "GET /api/v1/graph/stats": list(() => "stats"),
  "GET /api/v1/graph/aggregate/:dimension": list(
    () => "aggregate/tag?limit=200",
    ({ tag }) => tag,
  ),
  "GET /api/v1/graph/tags/cooccurrence": list(
    () => "tags/cooccurrence?min_count=1&limit=200",
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
  "GET /api/v1/graph/analytics/communities/entities": list(
    () => "analytics/communities/entities?limit=100",
    ({ entity }) => `beside ${entity}`,
    3,
  ),
  "GET /api/v1/graph/analytics/communities/memories": list(
    () => "analytics/communities/memories?via=tag&limit=1",
    ({ content }) => content,
  ),
  "GET /api/v1/graph/analytics/similarity/entities": list(
    ({ entity }) => `analytics/similarity/entities?min_count=1&entity_name=beside+${entity}`,
    ({ entity }) => `near ${entity}`,
    2,
  ),
  "GET /api/v1/graph/analytics/connectivity": list(
    () => "analytics/connectivity?limit=1",
    () => SPACE, // others have memories there, about nothing
  ),
};
