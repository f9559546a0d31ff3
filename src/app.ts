import { type AnyElysia, Elysia } from "elysia";
import { appRoutes } from "./apps/routes.ts";
import { auditRoutes } from "./audit/routes.ts";
import { tokenRoutes } from "./auth/routes.ts";
import { ROUTE_NEEDS } from "./auth/scopes.ts";
import { backupRoutes } from "./backup/routes.ts";
import { openSpool } from "./backup/spool.ts";
import type { Database } from "./db.ts";
import { entityRoutes } from "./entities/routes.ts";
import { graphHealthRoutes, graphRoutes, memoryGraphRoutes } from "./graph/routes.ts";
import { answers } from "./http/answers.ts";
import { type DoorSettings, door } from "./http/door.ts";
import { healthRoutes } from "./http/health.ts";
import { type MetricsSettings, metricsRoutes, openMetrics } from "./http/metrics.ts";
import { openapiRoutes, type RegisteredRoute, type RouteHooks } from "./http/openapi.ts";
import { type OriginSettings, originRules } from "./http/origins.ts";
import type { Log } from "./log.ts";
import { mcpRoutes } from "./mcp/http.ts";
import { mcpMetadataRoutes } from "./mcp/metadata.ts";
import { OFFER } from "./mcp/offer.ts";
import { startMcpServer } from "./mcp/server.ts";
import { legacyDoor, type SseSettings } from "./mcp/sse.ts";
import { memoryRoutes } from "./memories/routes.ts";
import { searchRoutes } from "./search/routes.ts";
import { settingsRoutes } from "./settings/routes.ts";
import { statsRoutes } from "./stats/routes.ts";

/** What the application has to be told. */
export interface AppSettings extends DoorSettings, MetricsSettings, OriginSettings, SseSettings {
  /** File name of the newest migration of this release. */
  readonly newest_migration: string;
  /** Absolute path; exports and imports are spooled in it. */
  readonly data_dir: string;
}

export type App = Awaited<ReturnType<typeof createApp>>;

/**
 * The whole application, in reading order. Nothing is opened here and nothing runs before the first request.
 * `offer` is what MCP gives; the conformance suite wants another.
 */
export async function createApp(settings: AppSettings, database: Database, log: Log, offer = OFFER) {
  const metrics = openMetrics(database.figures, () => legacy.count());
  const transport = await startMcpServer(log, metrics, offer);
  const legacy = legacyDoor(transport, settings, database, log, () => app.server);
  const origins = originRules(settings);
  const peerOf = (request: Request) => app.server?.requestIP(request)?.address ?? "unknown";
  const routes: RegisteredRoute[] = [];
  const hooksOf = new Map<string, RouteHooks>();
  const app: AnyElysia = new Elysia({
    normalize: false, // or unknown fields would be dropped in silence
    // Each route at its first request: all of them at the start took a third of it. A schema that does not compile is
    // found by tests/http/routes.test.ts, which asks every route.
    precompile: false,
    // Else the router looks for the path after the eleventh character of the URL: with a short Host, inside the path.
    handler: { standardHostname: false },
  })
    .use(answers(log, metrics, origins, (path) => allowedMethods(routes, path)))
    .use(await door(settings, database, origins, peerOf, (method, path) => hooksOf.get(`${method} ${path}`) ?? {}))
    .use(healthRoutes(database, settings.newest_migration))
    .use(metricsRoutes(metrics, settings, peerOf))
    .use(openapiRoutes(routes))
    .use(memoryRoutes)
    .use(memoryGraphRoutes)
    .use(searchRoutes)
    .use(appRoutes)
    .use(statsRoutes)
    .use(settingsRoutes)
    .use(entityRoutes)
    .use(graphHealthRoutes(database))
    .use(graphRoutes)
    .use(tokenRoutes)
    .use(auditRoutes)
    .use(mcpMetadataRoutes(settings, database, settings.newest_migration))
    .use(backupRoutes(openSpool(settings.data_dir), () => app.server))
    .use(mcpRoutes(transport, settings, () => app.server))
    .use(legacy.routes);

  // What Elysia keeps of a route is untyped.
  for (const { method, path, hooks } of app.routes) routes.push({ method, path, hooks: hooks as RouteHooks });
  for (const { method, path, hooks } of routes) {
    if (!ROUTE_NEEDS[`${method} ${path}`]) throw new Error(`the route ${method} ${path} has no line in ROUTE_NEEDS`);
    hooksOf.set(`${method} ${path}`, hooks);
  }
  return Object.assign(app, { registered: routes as readonly RegisteredRoute[], drainStreams: legacy.drain });
}

/** The methods a path takes, for 405; none where there is no such path. */
function allowedMethods(routes: readonly RegisteredRoute[], path: string): string[] {
  const given = path.replace(/\/$/, "").split("/");
  const fits = (route: RegisteredRoute) => {
    const parts = route.path.split("/");
    return parts.length === given.length && parts.every((part, index) => part.startsWith(":") || part === given[index]);
  };
  const fitting = routes.filter(fits);
  const has_head = fitting.some(({ method, hooks }) => method === "GET" && !hooks.detail?.["x-stream"]);
  const methods = new Set(fitting.map((route) => route.method));
  return has_head ? [...methods, "HEAD"] : [...methods];
}
