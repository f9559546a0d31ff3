import { Problem } from "../problem.ts";

export interface OriginSettings {
  /** Where it listens. */
  readonly host: string;
  /** Web origins that may call from a browser, such as https://brain.example.com; nothing else gets CORS headers. */
  readonly cors_allowed_origins: readonly string[];
}

const LOOPBACK_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/i;

/** `scheme://host[:port]`, as a browser writes it. */
const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?$/;

/** Reads origins, separated by commas. Throws an Error for what is none, `*` for one. */
export function originsFrom(text: string): string[] {
  return text.split(",").map((part) => {
    const origin = part.trim().replace(/\/$/, "").toLowerCase();
    if (!ORIGIN.test(origin)) throw new Error("must be origins such as https://brain.example.com, separated by commas");
    return origin;
  });
}

/**
 * The rules for browsers. A page that is none of ours must neither call the service nor have its name resolved to the
 * loopback address and call it then (DNS rebinding): an `Origin`, when sent, must be loopback or configured, and so must
 * the `Host` where the service listens on loopback. Programs that are no browsers send no Origin.
 */
export function originRules({ host, cors_allowed_origins }: OriginSettings) {
  const allowed = new Set(cors_allowed_origins);
  const hosts = new Set([...allowed].map(hostOf));
  const is_loopback = LOOPBACK_HOST.test(host.includes(":") ? `[${host}]` : host);

  return {
    /** Throws FORBIDDEN_ORIGIN. */
    check({ headers, url }: Request) {
      const origin = headers.get("origin")?.toLowerCase();
      if (origin !== undefined && !allowed.has(origin) && !isLoopbackOrigin(origin))
        throw forbidden("That Origin is not allowed.");
      // The header itself: of two Host headers the URL shows the first, and with a user name in it none.
      const hostname = (headers.get("host") ?? new URL(url).host).toLowerCase().replace(/:\d{1,5}$/, "");
      if (is_loopback && !LOOPBACK_HOST.test(hostname) && !hosts.has(hostname))
        throw forbidden("That Host is not allowed.");
    },

    /** The headers by which a browser lets a page of a configured origin read the answer. No credentials: tokens come in a header. */
    corsHeaders(request: Request): Record<string, string> {
      const origin = request.headers.get("origin");
      if (origin === null || !allowed.has(origin.toLowerCase())) return {};
      return {
        "access-control-allow-origin": origin,
        "access-control-expose-headers":
          "ETag, Retry-After, WWW-Authenticate, X-Request-Id, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset",
      };
    },

    /** What a preflight asks beside. */
    preflightHeaders(request: Request, methods: readonly string[]): Record<string, string> {
      if (
        !request.headers.has("access-control-request-method") ||
        !this.corsHeaders(request)["access-control-allow-origin"]
      )
        return {};
      return {
        "access-control-allow-methods": methods.join(", "),
        "access-control-allow-headers":
          "Authorization, Content-Type, Accept, If-Match, Idempotency-Key, Last-Event-ID, MCP-Protocol-Version, Mcp-Session-Id",
        "access-control-max-age": "600",
      };
    },
  };
}

export type OriginRules = ReturnType<typeof originRules>;

const hostOf = (origin: string) => origin.replace(/^[^/]*\/\//, "").replace(/:\d+$/, "");

const isLoopbackOrigin = (origin: string) => /^https?:\/\//.test(origin) && LOOPBACK_HOST.test(hostOf(origin));

const forbidden = (detail: string) =>
  new Problem("FORBIDDEN_ORIGIN", detail, {
    hint: "Whoever runs the service lists the origins of its web pages in CORS_ALLOWED_ORIGINS.",
  });
