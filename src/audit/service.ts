import type { Caller } from "../db.ts";
import { cursorFrom, cursorOf } from "../memories/cursor.ts";
import { instantFrom } from "../memories/filter.ts";
import { type FieldError, invalidInput } from "../problem.ts";
import { MAX_TOTAL } from "../schema.ts";
import type { AuditEvent, AuditPage, AuditQuery } from "./schema.ts";

/** What was done and refused in the caller's org, newest first. The route has asked for admin:read. Throws INVALID_INPUT. */
export function listAudit(caller: Caller, query: AuditQuery): Promise<AuditPage> {
  const { page = 1, size = 20, cursor } = query;
  if (cursor && query.page) throw invalidInput([{ at: "cursor", message: "goes without page" }]);
  if (page * size > MAX_TOTAL)
    throw invalidInput([{ at: "page", message: `reaches beyond ${MAX_TOTAL} rows; follow next_cursor instead` }]);
  const errors: FieldError[] = [];
  const dates = {
    from: instantFrom(query.from_date, "from_date", errors),
    to: instantFrom(query.to_date, "to_date", errors),
  };
  if (errors.length > 0) throw invalidInput(errors);
  const before = cursor ? cursorFrom(cursor) : null;

  return caller.read(async (tx) => {
    const events = (max_events: number) => tx`
      app.read_audit(${query.user ?? null}, ${query.action ? [query.action] : null}, ${query.outcome ?? null},
                     ${query.code ?? null}, ${query.target ?? null}, ${dates.from}::text::timestamptz,
                     ${dates.to}::text::timestamptz, ${before?.created_at ?? null}::text::timestamptz,
                     ${before?.id ?? null}::uuid, ${max_events})`;
    const offset = (page - 1) * size;
    const rows = await tx<AuditEvent[]>`
      select id, at, sub as user, app, action, outcome, code, targets, changed, access_entities, request_id,
             seq::float8 as seq, hash
      from ${events(offset + size + 1)} as events
      order by at desc, id desc
      offset ${offset}`;
    const last = rows[size - 1];
    const next_cursor = rows.length > size && last ? cursorOf({ created_at: last.at, id: last.id }) : null;
    const items = rows.slice(0, size);
    if (cursor) return { items, total: null, total_is: null, page: null, size, pages: null, next_cursor };
    const [{ counted } = { counted: 0 }] = await tx<{ counted: number }[]>`
      select count(*)::int as counted from ${events(MAX_TOTAL + 1)} as events`;
    const total = Math.min(counted, MAX_TOTAL);
    const total_is = counted > MAX_TOTAL ? "at_least" : "exact";
    return { items, total, total_is, page, size, pages: Math.ceil(total / size), next_cursor };
  });
}
