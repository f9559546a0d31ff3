import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Busboy, type BusboyFileStream } from "@fastify/busboy";
import { invalidInput, malformed, Problem, tooLarge } from "../problem.ts";

/** Largest file that is taken. */
export const MAX_FILE_BYTES = 67_108_864;
/** What a form has around its file. */
const MAX_FORM_BYTES = MAX_FILE_BYTES + 65_536;

/**
 * Reads a form with one part, the file `file`, and hands its bytes on as they come: none of it is kept here. Throws
 * UNSUPPORTED_MEDIA_TYPE, TOO_LARGE, MALFORMED, INVALID_INPUT, and what `keep` throws.
 */
export async function receiveFile(request: Request, keep: (bytes: Uint8Array) => Promise<void>): Promise<void> {
  const { headers, body } = request;
  const content_type = headers.get("content-type") ?? "";
  if (headers.has("content-encoding"))
    throw new Problem("UNSUPPORTED_MEDIA_TYPE", "The body must be sent as it is, not compressed.");
  if (!/^multipart\/form-data\s*(;|$)/i.test(content_type))
    throw new Problem("UNSUPPORTED_MEDIA_TYPE", "The body must be sent as multipart/form-data, with one part: file.");
  if (body === null) throw invalidInput([{ at: "file", message: "is required" }]);
  const form = formFor(content_type);

  let kept: Promise<void> | undefined;
  let failure: { cause: unknown } | undefined;
  const keepSafely = (bytes: Uint8Array) =>
    keep(bytes).catch((cause: unknown) => {
      failure = { cause };
      throw cause;
    });
  const refuse = (at: string, message: string) => form.destroy(invalidInput([{ at: at.slice(0, 64), message }]));
  form.on("file", (name, stream) => {
    if (name !== "file") {
      stream.resume();
      return refuse(name ?? "", "is not known here");
    }
    if (kept) {
      stream.resume();
      return refuse("file", "is given twice");
    }
    kept = keepAll(stream, keepSafely);
    kept.catch((error: Error) => form.destroy(error)); // told below
  });
  form.on("field", (name) => refuse(name, name === "file" ? "must be a file" : "is not known here"));
  form.on("partsLimit", () => refuse("", "has too many parts"));

  try {
    await pipeline(Readable.fromWeb(body as never), limited(), form); // two types of one web stream
    await kept;
  } catch (error) {
    if (failure) throw failure.cause; // a full disk is not the form's fault
    throw error instanceof Problem ? error : malformed("The form is not readable.", error);
  }
  if (!kept) throw invalidInput([{ at: "file", message: "is required" }]);
}

function formFor(content_type: string) {
  try {
    return new Busboy({
      headers: { "content-type": content_type },
      limits: { fileSize: MAX_FILE_BYTES, fieldSize: 1024, parts: 4, headerPairs: 16, headerSize: 8192 },
      isPartAFile: (_name, type, file_name) => file_name !== undefined || type === "application/octet-stream",
    });
  } catch (error) {
    throw malformed("The form is not readable.", error); // no boundary
  }
}

async function keepAll(stream: BusboyFileStream, keep: (bytes: Uint8Array) => Promise<void>) {
  for await (const chunk of stream) await keep(chunk);
  if (stream.truncated) throw tooLarge(`A file has at most ${MAX_FILE_BYTES} bytes.`);
}

/** Passes on what comes, up to the limit. */
function limited() {
  let bytes = 0;
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      bytes += chunk.byteLength;
      if (bytes > MAX_FORM_BYTES) done(tooLarge(`A file has at most ${MAX_FILE_BYTES} bytes.`));
      else done(null, chunk);
    },
  });
}
