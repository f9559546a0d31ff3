/** Where vectors come from: any server that speaks OpenAI's embeddings API. */
export interface EmbeddingSettings {
  readonly url: string;
  readonly model: string;
  readonly api_key: string | undefined;
}

/** Makes vectors of texts. */
export interface Embedder {
  /** The model of the space that is made first. */
  readonly model: string;
  /** One vector a text, in their order. Throws EmbedderError. */
  embed(model: string, texts: readonly string[], timeout_ms: number): Promise<Float32Array[]>;
}

/** The provider is away, slow, or answers with something else. The message may be shown to an operator: it holds no text of a memory. */
export class EmbedderError extends Error {
  override readonly name = "EmbedderError";
}

/** The provider of these settings. Connects at the first call. */
export function openProvider({ url, model, api_key }: EmbeddingSettings): Embedder {
  const endpoint = endpointOf(url);
  return {
    model,
    async embed(wanted, texts, timeout_ms) {
      const response = await fetch(endpoint, {
        method: "POST",
        headers: { "content-type": "application/json", ...(api_key && { authorization: `Bearer ${api_key}` }) },
        body: JSON.stringify({ model: wanted, input: texts, encoding_format: "float" }),
        signal: AbortSignal.timeout(timeout_ms),
      }).catch((error: unknown) => {
        throw new EmbedderError(`cannot be reached (${error instanceof Error ? error.name : "?"})`);
      });
      if (!response.ok) {
        await response.body?.cancel();
        throw new EmbedderError(`answered ${response.status}`);
      }
      return vectorsIn(await response.json().catch(() => null), texts.length);
    },
  };
}

/** `https://host`, `https://host/v1` and the whole of `https://host/v1/embeddings` name the same. */
function endpointOf(given: string): string {
  const url = new URL(given);
  const path = url.pathname.replace(/\/+$/, "");
  if (path.endsWith("/embeddings")) url.pathname = path;
  else url.pathname = `${path === "" ? "/v1" : path}/embeddings`;
  return url.href;
}

/** The vectors of an answer: `{data: [{index, embedding: [numbers]}]}`, in any order. Throws EmbedderError. */
function vectorsIn(answer: unknown, count: number): Float32Array[] {
  const data = typeof answer === "object" && answer !== null && "data" in answer ? answer.data : null;
  if (!Array.isArray(data) || data.length !== count) throw new EmbedderError(`did not answer with ${count} vectors`);
  const vectors: Float32Array[] = [];
  for (const [place, one] of data.entries()) {
    const { index = place, embedding } = (one ?? {}) as { index?: unknown; embedding?: unknown };
    const is_vector =
      Array.isArray(embedding) && embedding.length > 0 && embedding.every((part) => Number.isFinite(part));
    if (!is_vector || typeof index !== "number" || vectors[index] || index < 0 || index >= count)
      throw new EmbedderError("answered with something that is no vector");
    vectors[index] = Float32Array.from(embedding as number[]);
  }
  if (new Set(vectors.map((vector) => vector.length)).size > 1)
    throw new EmbedderError("answered with vectors of several lengths");
  return vectors;
}
