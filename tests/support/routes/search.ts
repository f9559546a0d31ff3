import type { Row } from "../access.ts";

const searching: Row = {
  status: 200,
  otherwise: 200,
  goes_on: true,
  call: ({ content }) => ({ body: { query: content } }),
  shows: ({ id }) => id,
};

export const rows: Record<string, Row> = {
  "POST /api/v1/search": searching,
  "POST /api/v1/search/lexical": searching,
  // There is no embedder: it goes by words, and says so.
  "POST /api/v1/search/semantic": searching,
};
