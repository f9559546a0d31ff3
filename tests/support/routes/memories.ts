import { EVERYBODY, type Row, SPACE } from "../access.ts";

const said = () => `said ${crypto.randomUUID()}`;
const shows: Row["shows"] = ({ content }) => content;
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
  "GET /api/v1/memories/:id": { status: 200, call: () => ({}), shows },
  "GET /api/v1/memories/:id/history": { status: 200, call: () => ({}), shows },
  "PUT /api/v1/memories/:id": change,
  "PATCH /api/v1/memories/:id": change,
  "DELETE /api/v1/memories/:id": { status: 204, call: () => ({}) },
};
