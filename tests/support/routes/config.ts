import { EVERYBODY, type Ground, PEOPLE, type Row } from "../access.ts";

/** Settings are the org's: who is in it and holds the scope may. The stranger is told of another org's. */
const of = (more: Partial<Row> = {}): Row => ({
  status: 200,
  open_to: ["owner", "mate", "colleague"],
  otherwise: 200,
  async make({ memory, world }: Ground) {
    await world.api(PEOPLE.owner).call("PATCH", "/config", { retention: { deleted_days: 77 } });
    return memory();
  },
  call: () => ({}),
  shows: () => '"deleted_days":77',
  ...more,
});
const recalls = { retention: { recall_days: 5 } };

export const rows: Record<string, Row> = {
  "GET /api/v1/config": of(),
  "PUT /api/v1/config": of({ open_to: EVERYBODY, call: () => ({ body: recalls }), shows: () => '"recall_days":5' }),
  "PATCH /api/v1/config": of({ call: () => ({ body: recalls }) }),
  "POST /api/v1/config/reset": of({ open_to: EVERYBODY, shows: () => '"deleted_days":30' }),
};
