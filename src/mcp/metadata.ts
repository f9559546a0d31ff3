import { Elysia, t } from "elysia";
import { SCOPES_IN_USE } from "../auth/scopes.ts";
import type { TokenSettings } from "../auth/tokens.ts";
import type { Database } from "../db.ts";
import { originOf, WELL_KNOWN } from "../http/challenge.ts";
import { readyMigration } from "../http/health.ts";
import { closed } from "../schema.ts";
import { PROTOCOL_VERSIONS } from "./server.ts";

const Metadata = t.Object(
  {
    resource: t.String({ description: "What a token is for." }),
    resource_name: t.String(),
    authorization_servers: t.Optional(t.Array(t.String({ description: "Who issues tokens." }))),
    bearer_methods_supported: t.Array(t.String()),
    scopes_supported: t.Array(t.String()),
  },
  closed,
);
const Health = t.Object({ status: t.Literal("ok"), protocol_versions: t.Array(t.String()) }, closed);

/** What a client may know before it has a token: where tokens come from (RFC 9728), and whether MCP works. Public. */
export function mcpMetadataRoutes({ jwt_issuer, jwt_public_keys }: TokenSettings, database: Database, newest: string) {
  const metadata = (resource: string) => ({
    resource,
    resource_name: "Coding Brain",
    // Tokens of our own secret are handed out by whoever runs the service; there is no server to ask for them.
    ...(jwt_public_keys.length > 0 && { authorization_servers: [jwt_issuer] }),
    bearer_methods_supported: ["header"],
    scopes_supported: [...SCOPES_IN_USE],
  });
  const described = {
    response: { 200: Metadata },
    detail: { summary: "Protected resource metadata (RFC 9728)", tags: ["mcp"] },
  };
  return new Elysia({ name: "mcp-metadata", normalize: false })
    .get(WELL_KNOWN, ({ request }) => metadata(originOf(request)), described)
    .get(`${WELL_KNOWN}/mcp`, ({ request }) => metadata(`${originOf(request)}/mcp`), described)
    .get(
      "/mcp/health",
      async () => {
        await readyMigration(database, newest);
        return { status: "ok" as const, protocol_versions: PROTOCOL_VERSIONS };
      },
      {
        response: { 200: Health },
        detail: { summary: "MCP can be served: the database answers and has this release's schema", tags: ["mcp"] },
      },
    );
}
