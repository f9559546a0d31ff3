import { EVERYBODY, PEOPLE, type Row, SPACE } from "../access.ts";

const said = () => `said ${crypto.randomUUID()}`;
const shows: Row["shows"] = ({ content }) => content;
const acting: Row = {
  status: 200,
  otherwise: 200,
  call: ({ id }) => ({ body: { memory_ids: [id] } }),
  shows: () => '"changed":1',
};
const change: Row = { status: 200, call: () => ({ body: { category: "decision" } }), shows };

export const rows: Record<string, Row> = {
  "GET /api/v1/memories": { status: 200, otherwise: 200, call: () => ({ path: "/api/v1/memories?size=1" }), shows },
  // Into a shared space: whoever's token does not open it is refused by name, as the space was named by the caller.
  "POST /api/v1/memories": {
    status: 201,
    open_to: ["owner", "mate", "stranger"], // a space of that name in the stranger's own org
    otherwise: 403,
    call: () => ({ body: { content: said(), access_entity: SPACE } }),
  },
  "POST /api/v1/memories/batch": {
    status: 201,
    open_to: EVERYBODY,
    call: () => ({ body: { memories: [{ content: said() }, { content: said() }] } }),
  },
  "DELETE /api/v1/memories": {
    status: 200,
    otherwise: 200,
    call: ({ id }) => ({ body: { memory_ids: [id] } }),
    shows: () => '"deleted":1',
  },
  "POST /api/v1/memories/actions/archive": acting,
  "POST /api/v1/memories/actions/pause": acting,
  "POST /api/v1/memories/actions/restore": {
    ...acting,
    async make({ memory, world }) {
      const thing = await memory();
      await world.api(PEOPLE.owner).delete(`/memories/${thing.id}`);
      return thing;
    },
  },
  "POST /api/v1/memories/filter": {
    status: 200,
    otherwise: 200,
    goes_on: true,
    call: () => ({ body: { size: 1 } }),
    shows,
  },
  "GET /api/v1/memories/categories": {
    status: 200,
    otherwise: 200,
    // Nobody has a memory of this category but the team.
    make: ({ memory }) => memory({ category: "glossary" }),
    call: () => ({}),
    shows: () => "glossary",
  },
  "GET /api/v1/memories/:id": { status: 200, call: () => ({}), shows },
  "GET /api/v1/memories/:id/access-log": {
    status: 200,
    async make({ memory, world }) {
      const thing = await memory();
      await world.api(PEOPLE.owner).get(`/memories/${thing.id}`);
      await world.database.writeRecalls();
      return thing;
    },
    call: () => ({}),
    shows: () => '"user":"ada"',
  },
  "GET /api/v1/memories/:id/history": { status: 200, call: () => ({}), shows },
  "PUT /api/v1/memories/:id": change,
  "PATCH /api/v1/memories/:id": change,
  "DELETE /api/v1/memories/:id": { status: 204, call: () => ({}) },
};
