/** What a route says of itself beside its schemas: what the document tells, and how the door and the router treat it. */
export interface RouteDetail {
  summary?: string;
  tags?: string[];
  /** What GET opens stays open; there is no HEAD. */
  "x-stream"?: boolean;
  /** It takes a form with one `file`, which this says what it is; the route reads the body itself. */
  "x-upload"?: string;
  /** Media type of what it answers with, where it has no schema for that; and with what status, where that is not 200. */
  "x-answer"?: string;
  "x-status"?: number;
  /** It takes an Idempotency-Key; and an If-Match (preconditions.ts). */
  "x-retriable"?: boolean;
  "x-guarded"?: boolean;
  /** It answers with a revision as ETag. */
  "x-etag"?: boolean;
  /** It takes JSON that it checks by itself. */
  "x-json"?: boolean;
}

/** A route's detail. Elysia's own type knows no names of ours (1.4.30). */
export const described = (detail: RouteDetail) => detail;
