import { get, post, query } from "./asks.ts";
import type { RouteProbe } from "./probe.ts";
import type { Ask } from "./world.ts";

const APPS = "/api/v1/apps";
const BACKUP = "/api/v1/backup";
const CONFIG = "/api/v1/config";

/** An import of an archive with these lines. */
const archive = (query: string, lines: readonly object[]): Ask => ({
  method: "POST",
  path: `${BACKUP}/import${query}`,
  archive: lines,
});

/** The routes of a caller's apps, counts, token and archives, and those of the whole org: settings and audit. */
export const ORG_ROUTE_PROBES: Readonly<Record<string, RouteProbe>> = {
  "GET /api/v1/apps": {
    needs: ["apps:read"],
    reads: true,
    asks: ({ thread }) => [query(APPS, { size: "100" }), query(APPS, { name: thread.slice(0, 64) })],
    views: () => [query(APPS, { size: "100" }), query(APPS, { sort_by: "memories", sort_direction: "desc" })],
  },
  "GET /api/v1/apps/:id": { needs: ["apps:read"], reads: true, asks: ({ app_id }) => [get(`${APPS}/${app_id}`)] },
  "GET /api/v1/apps/:id/memories": {
    needs: ["apps:read"],
    reads: true,
    asks: ({ app_id }) => [get(`${APPS}/${app_id}/memories`)],
  },
  "GET /api/v1/apps/:id/accessed": {
    needs: ["apps:read"],
    reads: true,
    asks: ({ app_id }) => [get(`${APPS}/${app_id}/accessed`)],
  },
  "PUT /api/v1/apps/:id": {
    needs: ["apps:write"],
    reads: false,
    asks: ({ app_id }) => [
      { method: "PUT", path: `${APPS}/${app_id}`, body: { is_active: false } },
      { method: "PUT", path: `${APPS}/${app_id}?is_active=true` },
    ],
  },
  "GET /api/v1/stats": {
    needs: ["stats:read"],
    reads: true,
    asks: () => [get("/api/v1/stats?days=366")],
    views: () => [get("/api/v1/stats?days=2")],
  },
  "GET /api/v1/config": {
    needs: ["admin:read"],
    reads: true,
    asks: () => [get(CONFIG)],
    views: () => [get(CONFIG)],
  },
  // Refused: settings are the whole org's, and what is planted there must be as it was at the end. That orgs do not
  // touch each other's is in tests/http/config.test.ts.
  "PUT /api/v1/config": {
    needs: ["admin:write"],
    reads: false,
    asks: ({ content }) => [{ method: "PUT", path: CONFIG, body: { planted: content } }],
  },
  "PATCH /api/v1/config": {
    needs: ["admin:write"],
    reads: false,
    asks: ({ content }) => [{ method: "PATCH", path: CONFIG, body: { planted: content } }],
  },
  "POST /api/v1/config/reset": {
    needs: ["admin:write"],
    reads: false,
    asks: ({ id }) => [post(`${CONFIG}/reset?org=${id}`, undefined)],
  },
  "GET /api/v1/tokens/me": {
    needs: [],
    reads: true,
    asks: () => [get("/api/v1/tokens/me")],
    views: () => [get("/api/v1/tokens/me")],
  },

  "POST /api/v1/tokens/revoke": {
    // Another's token; one's own needs nothing, and would end the caller.
    needs: ["admin:write"],
    reads: false,
    asks: ({ jti }) => [post("/api/v1/tokens/revoke", { jti })],
  },
  "GET /api/v1/audit": {
    needs: ["admin:read"],
    reads: true,
    is_of_org: true,
    asks: ({ ids, session_id }) => [
      ...[...ids, session_id].map((target) => query("/api/v1/audit", { target, size: "100" })),
      query("/api/v1/audit", { action: "planted", size: "100" }),
    ],
  },

  "POST /api/v1/backup/export": {
    needs: ["backup:read"],
    reads: true,
    // Never all there is: of a deployment that could be much.
    asks: ({ space, app_id }) => [
      post(`${BACKUP}/export`, { access_entity: space }),
      post(`${BACKUP}/export`, { app_id }),
    ],
    views: () => [post(`${BACKUP}/export`, {}), post(`${BACKUP}/export`, { states: ["active"] })],
  },
  "POST /api/v1/backup/import": {
    needs: ["backup:write"],
    reads: false,
    // One alone is stored, and says nothing of the length of what other probes store: ids are made of the archive's here,
    // and would put what scores alike into another order for the ghost.
    asks: ({ ids, id, own_id, content, entity, space }) => [
      archive("", [{ id, content: `taken out of an archive, ${content}` }]),
      archive("?mode=overwrite&dry_run=true", [
        ...ids.map((one, place) => ({ id: one, content: `over ${place} ${content}`, state: "deleted" })),
        ...ids.map((supersedes) => ({ id: crypto.randomUUID(), content: crypto.randomUUID(), supersedes })),
        { id: own_id, content, access_entity: space, supersedes: id },
      ]),
      archive("?dry_run=true", [{ id, content, relations: [{ from: entity, to: entity, type: "is" }] }]),
      archive(`?access_entity=${encodeURIComponent(space)}`, [{ id, content }]),
    ],
  },
};
