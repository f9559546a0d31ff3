/** Where RFC 9728 has the metadata of what a token opens. */
export const WELL_KNOWN = "/.well-known/oauth-protected-resource";

/**
 * Scheme and host as the client sees them: those of its own request, `https` where a proxy says so. Whoever lies about
 * them lies to itself alone, for nobody else gets the answer.
 */
export function originOf({ url, headers }: Request): string {
  const { protocol, host } = new URL(url);
  return `${headers.get("x-forwarded-proto") === "https" ? "https:" : protocol}//${host}`;
}

/** The WWW-Authenticate of a 401: on MCP's paths it leads to the metadata. */
export function challengeFor(request: Request): string {
  if (!/^[^/]*\/\/[^/]*\/mcp/.test(request.url)) return 'Bearer realm="api"';
  return `Bearer realm="mcp", resource_metadata="${originOf(request)}${WELL_KNOWN}/mcp"`;
}
