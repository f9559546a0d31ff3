import { Elysia } from "elysia";
import { type TokenSettings, tokenVerifier } from "../../src/auth/tokens.ts";
import { openReplay, type Transaction } from "./statements.ts";

/** What the bare server is told before it serves. */
export interface BareTask {
  readonly url: string;
  readonly connections: number;
  readonly transactions: Record<string, readonly Transaction[]>;
  readonly settings: TokenSettings;
  /** What the routes without a database answer, by name. */
  readonly answers: Record<string, unknown>;
}

/** Where the bare servers listen. */
export interface BareUrls {
  /** C1h: `/<name>/<number>` runs that transaction of that name. `/usage` gives CPU seconds and RSS bytes. */
  readonly http: string;
  /** C2: `/<name>` checks the token and answers. */
  readonly elysia: string;
}

process.on("message", async ({ url, connections, transactions, settings, answers }: BareTask) => {
  const replay = openReplay(url, connections);
  const http = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    async fetch(request) {
      const [, , , name = "", number = "0"] = request.url.split("/");
      if (name === "usage") return Response.json({ cpu: process.cpuUsage(), rss: process.memoryUsage.rss() });
      const transaction = transactions[name]?.[Number(number)];
      if (!transaction) return new Response(null, { status: 404 });
      return Response.json(await replay.run(transaction));
    },
  });

  const identify = await tokenVerifier(settings);
  const elysia = new Elysia();
  for (const [name, answer] of Object.entries(answers))
    elysia.get(`/${name}`, async ({ request }) => {
      await identify(request.headers.get("authorization"));
      return answer;
    });
  elysia.listen({ hostname: "127.0.0.1", port: 0 });
  process.send?.({
    http: `http://127.0.0.1:${http.port}`,
    elysia: `http://127.0.0.1:${elysia.server?.port}`,
  } satisfies BareUrls);
});
