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

/**
 * The WWW-Authenticate of a 401. It does not lead to the metadata: clients take that for a server to ask for a token,
 * and where there is none their search for it fails instead of saying that the token is bad.
 */
export const challengeFor = (request: Request) =>
  `Bearer realm="${/^[^/]*\/\/[^/]*\/mcp/.test(request.url) ? "mcp" : "api"}"`;
