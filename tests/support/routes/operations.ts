import { EVERYBODY, type Row } from "../access.ts";
import { METRICS_TOKEN } from "../world.ts";

const open: Row = { status: 200, open_to: EVERYBODY, call: () => ({}) };

export const rows: Record<string, Row> = {
  "GET /health/live": open,
  "GET /health/ready": open,
  "GET /health/deps": open,
  // Whoever asks: with the token of METRICS_TOKEN. Without it: tests/http/metrics.test.ts.
  "GET /metrics": { ...open, call: () => ({ headers: { authorization: `Bearer ${METRICS_TOKEN}` } }) },
  "GET /openapi.json": open,
  "GET /docs": open,
};
