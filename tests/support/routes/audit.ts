import type { Row } from "../access.ts";

export const rows: Record<string, Row> = {
  // It is the org's: a colleague is told that something was done to an id, and not what it says.
  "GET /api/v1/audit": {
    status: 200,
    open_to: ["owner", "mate", "colleague"],
    otherwise: 200,
    call: ({ id }) => ({ path: `/api/v1/audit?target=${id}` }),
    shows: ({ id }) => id,
  },
};
