import { type Ground, PEOPLE, type Row, row, type Thing } from "../access.ts";

interface App extends Thing {
  readonly memory_id: string;
}

/** The owner's app, and something that came through it and was shown through it. Not even team-mates have that app. */
async function app({ memory, world }: Ground): Promise<App> {
  const thing = await memory();
  const read = () => world.api(PEOPLE.owner).get(`/memories/${thing.id}`);
  // More often than anything that other rows have read: the list begins with what was shown most.
  for (let times = 0; times < 5; times++) await read();
  const { body } = await read();
  while ((await world.database.writeRecalls()) > 0);
  return { ...thing, id: body.app_id, memory_id: thing.id };
}

const of = (more: Partial<Row<App>> = {}) =>
  row<App>({ status: 200, open_to: ["owner"], make: app, call: () => ({}), shows: ({ id }) => id, ...more });

export const rows: Record<string, Row> = {
  "GET /api/v1/apps": of({ otherwise: 200 }),
  "GET /api/v1/apps/:id": of(),
  "GET /api/v1/apps/:id/memories": of({ shows: ({ content }) => content }),
  "GET /api/v1/apps/:id/accessed": of({
    call: ({ id }) => ({ path: `/api/v1/apps/${id}/accessed?size=100` }),
    shows: ({ memory_id }) => memory_id,
  }),
  "PUT /api/v1/apps/:id": of({ goes_on: true, call: () => ({ body: { is_active: true } }) }),
};
