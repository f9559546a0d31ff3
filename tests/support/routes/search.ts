import type { Row } from "../access.ts";

export const rows: Record<string, Row> = {
  "POST /api/v1/search": {
    status: 200,
    otherwise: 200,
    goes_on: true,
    call: ({ content }) => ({ body: { query: content } }),
    shows: ({ id }) => id,
  },
  "POST /api/v1/search/lexical": {
    status: 200,
    otherwise: 200,
    goes_on: true,
    call: ({ content }) => ({ body: { query: content } }),
    shows: ({ id }) => id,
  },
  "POST /api/v1/search/semantic": {
    status: 200,
    otherwise: 200,
    goes_on: true,
    call: ({ content }) => ({ body: { query: content } }),
    shows: ({ id }) => id,
  },
};
