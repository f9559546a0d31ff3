import { type Embedder, openProvider } from "../../src/embeddings/provider.ts";

/** Words that stand for one thing: what a real model would have learned. */
const ALIKE = [
  ["car", "automobile", "vehicle"],
  ["doctor", "physician"],
  ["fast", "quick", "rapid"],
];

/**
 * A stand-in for an embeddings server, on a port of its own: a deterministic model made of text statistics. A text's
 * vector adds up one pseudorandom direction a word, the same one for words that are alike. It speaks OpenAI's shapes.
 */
export function openStandIn({ dimensions = 64 } = {}) {
  const state = { dimensions, status: 200, delay_ms: 0, asked: [] as unknown[] };
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const body = (await request.json()) as { model: string; input: string[] };
      state.asked.push({
        path: new URL(request.url).pathname,
        authorization: request.headers.get("authorization"),
        ...body,
      });
      await Bun.sleep(state.delay_ms);
      if (state.status !== 200) return new Response("no", { status: state.status });
      const data = body.input.map((text, index) => ({
        object: "embedding",
        index,
        embedding: vectorOf(`${body.model} `, text, state.dimensions),
      }));
      return Response.json({ object: "list", data, model: body.model, usage: { prompt_tokens: 1, total_tokens: 1 } });
    },
  });
  const url = `http://127.0.0.1:${server.port}/v1`;
  const embedder: Embedder = openProvider({ url, model: "stand-in", api_key: "a key" });
  return { state, url, embedder, close: () => server.stop(true) };
}

function vectorOf(salt: string, text: string, dimensions: number): number[] {
  const sum = new Array<number>(dimensions).fill(0);
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []) {
    const [meant = word] = ALIKE.find((words) => words.includes(word)) ?? [];
    let state = Number(Bun.hash.wyhash(salt + meant) & 0xffffffffn);
    for (let place = 0; place < dimensions; place++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      sum[place] = (sum[place] ?? 0) + (state / 4_294_967_296 - 0.5);
    }
  }
  return sum;
}
