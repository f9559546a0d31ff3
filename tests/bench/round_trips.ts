import { quantile } from "./report.ts";

const TRIPS = 400;
const WARM = 50;

/** Milliseconds of a `get_memory` over the legacy event stream and over HTTP, one after the other, taking turns. */
export async function sseAgainstHttp(url: string, headers: Record<string, string>, ids: readonly string[]) {
  const gone = new AbortController();
  const response = await fetch(`${url}/mcp/bench/sse/me`, { headers, signal: gone.signal });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const next = async () => {
    while (!text.includes("\n\n")) {
      const chunk = await reader?.read();
      if (!chunk || chunk.done) throw new Error(`the stream has ended: ${text}`);
      text += chunk.value;
    }
    const [event = ""] = text.split("\n\n", 1);
    text = text.slice(event.length + 2);
    return event;
  };
  const endpoint = /^event: endpoint\ndata: (.*)$/.exec(await next())?.[1] ?? "";

  const post = (path: string, trip: number, memory_id: string) =>
    fetch(url + path, {
      method: "POST",
      headers,
      body: JSON.stringify({
        jsonrpc: "2.0",
        id: trip,
        method: "tools/call",
        params: { name: "get_memory", arguments: { memory_id } },
      }),
    });
  const times = { sse: [] as number[], http: [] as number[] };
  for (let trip = 0; trip < TRIPS + WARM; trip++) {
    const id = ids[trip % ids.length] ?? "";
    const holds = `"id":"${id}"`;
    let began = performance.now();
    const taken = post(endpoint, trip, id).then((accepted) => accepted.arrayBuffer());
    let event = await next();
    while (event.startsWith(":")) event = await next();
    const sse = performance.now() - began;
    await taken;
    began = performance.now();
    const answer = await (await post("/mcp", trip, id)).text();
    const http = performance.now() - began;
    if (!event.includes(holds) || !answer.includes(holds)) throw new Error(`not the memory: ${event} ${answer}`);
    if (trip < WARM) continue;
    times.sse.push(sse);
    times.http.push(http);
  }
  gone.abort();
  const told = (values: number[]) => ({
    p50: quantile(values, 0.5),
    p95: quantile(values, 0.95),
    p99: quantile(values, 0.99),
  });
  return { sse: told(times.sse), http: told(times.http) };
}
