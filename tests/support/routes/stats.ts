import type { Row } from "../access.ts";

export const rows: Record<string, Row> = {
  "GET /api/v1/stats": {
    status: 200,
    otherwise: 200,
    make: ({ memory }) => memory({ category: "runbook" }),
    call: () => ({}),
    shows: () => '"category":"runbook"',
  },
};
