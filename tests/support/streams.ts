import { type Person, tokenFor } from "./world.ts";

const bearer = async (person: Person) => ({ authorization: `Bearer ${await tokenFor(person)}` });

/** A legacy stream read by hand, an event or comment at a time. */
export async function listenBy(person: Person, url: string, path = "/mcp/cursor/sse/me") {
  const gone = new AbortController();
  const response = await fetch(url + path, { headers: await bearer(person), signal: gone.signal });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const next = async (): Promise<string | undefined> => {
    while (!text.includes("\n\n")) {
      const chunk = await reader?.read();
      if (!chunk || chunk.done) return undefined;
      text += chunk.value;
    }
    const cut = text.indexOf("\n\n");
    const event = text.slice(0, cut);
    text = text.slice(cut + 2);
    return event;
  };
  const first = (await next()) ?? "";
  const endpoint = /^event: endpoint\ndata: (.*)$/.exec(first)?.[1] ?? "";
  return {
    response,
    next,
    /** The next message; comments are passed over. Undefined at the stream's end. */
    async message(): Promise<unknown> {
      let event = await next();
      while (event?.startsWith(":")) event = await next();
      return event === undefined ? undefined : JSON.parse(/^event: message\ndata: (.*)$/.exec(event)?.[1] ?? "null");
    },
    endpoint,
    session_id: endpoint.split("=")[1] ?? "",
    leave: () => gone.abort(),
  };
}

/** Posts a message, or what is no message, as a person. */
export async function post(person: Person, path: string, message: unknown, url: string) {
  const body = typeof message === "string" ? message : JSON.stringify(message);
  const headers = { ...(await bearer(person)), "content-type": "application/json" };
  const response = await fetch(url + path, { method: "POST", headers, body });
  const text = await response.text();
  return { status: response.status, body: text.startsWith("{") ? JSON.parse(text) : text };
}
