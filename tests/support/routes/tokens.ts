import { EVERYBODY, type Row } from "../access.ts";

export const rows: Record<string, Row> = {
  "GET /api/v1/tokens/me": { status: 200, open_to: EVERYBODY, call: () => ({}) },
  // One's own: every attempt has a token of its own. Another's is in tests/http/revoking.test.ts.
  "POST /api/v1/tokens/revoke": { status: 204, open_to: EVERYBODY, goes_on: true, call: () => ({ body: {} }) },
};
