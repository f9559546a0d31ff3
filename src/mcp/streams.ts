import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";

/** Bytes a stream may hold back before its client counts as gone: one that never reads must not grow our memory. */
const MAX_BACKLOG_BYTES = 4 * 1024 * 1024;

/** An open event stream to one client. */
export interface OpenStream {
  readonly response: Response;
  /** Aborts when the stream ends, whoever ended it. */
  readonly signal: AbortSignal;
  send(message: JSONRPCMessage): void;
  close(): void;
}

interface StreamOptions {
  /** Where the client of a legacy stream is to post its messages: the first event. */
  endpoint?: string;
  heartbeat_seconds: number;
  /** Has the server drop the connection soon: a cut stream alone would leave it open for as long as nobody reads. */
  drop(): void;
}

/**
 * An event stream as MCP clients expect it: on the legacy door the endpoint first, then a message an event, and a comment
 * line now and then, so that nothing on the way takes the silence for the end.
 */
export function openStream({ endpoint, heartbeat_seconds, drop }: StreamOptions): OpenStream {
  const ended = new AbortController();
  const encoder = new TextEncoder();
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;

  const put = (text: string) => {
    if (ended.signal.aborted || !controller) return;
    controller.enqueue(encoder.encode(text));
    // Without a reader desiredSize sinks with every chunk (Bun 1.4.5).
    if ((controller.desiredSize ?? 0) < -MAX_BACKLOG_BYTES) {
      end();
      controller.error(new Error("the client does not read"));
      drop();
    }
  };
  const heartbeat = setInterval(() => put(": still here\n\n"), heartbeat_seconds * 1000);
  const end = () => {
    clearInterval(heartbeat);
    ended.abort();
  };

  const body = new ReadableStream<Uint8Array>(
    {
      start(opened) {
        controller = opened;
        if (endpoint) put(`event: endpoint\ndata: ${endpoint}\n\n`);
      },
      cancel: end,
    },
    new ByteLengthQueuingStrategy({ highWaterMark: 65_536 }),
  );

  return {
    response: new Response(body, {
      headers: {
        "content-type": "text/event-stream",
        "cache-control": "no-store, no-transform",
        "x-accel-buffering": "no",
      },
    }),
    signal: ended.signal,
    send: (message) => put(`event: message\ndata: ${JSON.stringify(message)}\n\n`),
    close() {
      if (ended.signal.aborted) return;
      end();
      controller?.close();
    },
  };
}
