import { InvalidArgumentError } from "commander";
import type { Config } from "../config.ts";
import { messageOf, Refusal } from "../refusal.ts";

/** Where a service is that a command talks to as any client does. */
export interface Remote {
  readonly url: string;
  readonly token: string;
}

/** A service's base URL as an option gives it. */
export function serviceUrl(text: string): string {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text))
    throw new InvalidArgumentError("A URL like https://brain.example.com.");
  return text.replace(/\/+$/, "").replace(/\/mcp$/, "");
}

/** The service that HOST and PORT tell of. */
export const ownUrl = ({ host, port }: Config) => `http://${host.includes(":") ? `[${host}]` : host}:${port}`;

/** From a command's options, else from the environment. Throws a Refusal where there is no token. */
export function remoteFrom(config: Config, options: { url?: string; token?: string }): Remote {
  const token = options.token ?? config.brain_token;
  if (!token) throw new Refusal("usage", "Give a token: set BRAIN_TOKEN, or --token. `brain token` makes one.");
  return { url: options.url ?? ownUrl(config), token };
}

/** Posts to a service and gives its answer. Throws a Refusal that says what the service's problem says. */
export async function post({ url, token }: Remote, path: string, body: FormData | object): Promise<Response> {
  const is_form = body instanceof FormData;
  const response = await fetch(url + path, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, ...(!is_form && { "content-type": "application/json" }) },
    body: is_form ? body : JSON.stringify(body),
    redirect: "manual",
    timeout: false, // an answer may take minutes, in which nothing is sent
  } as RequestInit).catch((error: unknown) => {
    throw new Refusal("service_unreachable", `${url} does not answer: ${messageOf(error)}.`, error);
  });
  if (response.ok) return response;
  const text = await response.text();
  throw new Refusal("service_refused", `The service answers ${response.status}: ${saidIn(text)}`);
}

/** The sentences of a problem; of anything else only that it is none. */
function saidIn(text: string): string {
  try {
    const { code, detail, hint, errors = [] } = JSON.parse(text);
    const places = errors.map(({ at, message }: { at: string; message: string }) => `${at} ${message}`).join("; ");
    return [`${code}.`, detail, places && `${places}.`, hint].filter(Boolean).join(" ");
  } catch {
    return "and not as Coding Brain does.";
  }
}
