import type { Person } from "./cast.ts";
import type { Answer, World } from "./world.ts";

/** An open stream of the legacy door, read by its caller. */
export interface Stream {
  readonly session_id: string;
  /** Posts a message, and gives the answer that comes on the stream; the refusal itself where it was not taken. */
  call(message: { readonly id: string }, options: { probe: string; may_store: boolean }): Promise<Answer>;
  /** Ends it, and scans what came beside the answers. */
  close(): Promise<void>;
}

const OPEN = { method: "GET", path: "/mcp/cursor/sse/me?toolsets=all" };
const WAIT_SECONDS = 10;

/** Opens a stream as somebody. Throws an Error where it is not given. */
export async function openStream(world: World, caller: Person): Promise<Stream> {
  const response = await world.handle(caller, OPEN);
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (response.status !== 200 || !reader)
    throw new Error(`${OPEN.path} of ${caller.sub} was answered ${response.status}`);
  let pending = "";

  /** The next event; what is left at the end of the stream. */
  async function next(): Promise<string> {
    while (!pending.includes("\n\n")) {
      const { done, value } = await Promise.race([reader?.read() ?? ENDED, timeUp()]);
      if (done || value === undefined) break;
      pending += value;
    }
    const cut = pending.indexOf("\n\n") + 2;
    const event = cut === 1 ? pending : pending.slice(0, cut);
    pending = pending.slice(event.length);
    return event;
  }

  const path = /^data: (.*)$/m.exec(await next())?.[1] ?? "";
  return {
    session_id: path.split("=")[1] ?? "",
    async call(message, options) {
      const asked = { method: "POST", path, body: message };
      const { status, headers, text } = await world.ask(caller, asked, options);
      if (status !== 202) return { status, headers, text };
      const event = await next();
      world.notes.count(event.length);
      world.scan(caller, asked, { headers: [], text: event }, { probe: `${options.probe} on the stream` });
      return { status, headers, text: event };
    },
    async close() {
      world.scan(caller, OPEN, { headers: [], text: pending });
      await reader.cancel();
    },
  };
}

const ENDED = Promise.resolve({ done: true, value: undefined });

const timeUp = async () => {
  await Bun.sleep(WAIT_SECONDS * 1000);
  return { done: true, value: undefined };
};
