import type { SpoolFile } from "./spool.ts";

/** A client that takes longer is not waited for: its file takes room on the disk. */
const MAX_MS = 3_600_000;

/**
 * The bytes of a file as fast as a client takes them, until it goes away (`gone`). The file is closed, and `ended`
 * called, however that ends.
 */
export function streamOf(file: SpoolFile, gone: AbortSignal, ended: () => void): ReadableStream<Uint8Array> {
  const chunks = file.read();
  let has_ended = false;
  const end = async () => {
    if (has_ended) return;
    has_ended = true;
    clearTimeout(timer);
    gone.removeEventListener("abort", leave);
    ended();
    await file[Symbol.asyncDispose]();
  };
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const leave = () => {
    if (!has_ended) controller?.error(new Error("the client went away, or took too long"));
    void end();
  };
  const timer = setTimeout(leave, MAX_MS);
  gone.addEventListener("abort", leave, { once: true });
  return new ReadableStream<Uint8Array>(
    {
      start(given) {
        controller = given;
      },
      async pull(given) {
        const { done, value } = await chunks.next();
        if (value) return given.enqueue(value);
        if (done) {
          given.close();
          await end();
        }
      },
      cancel: end,
    },
    { highWaterMark: 1 },
  );
}
