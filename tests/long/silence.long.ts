import { afterAll, expect, test } from "bun:test";
import { connectLegacy } from "../support/clients.ts";
import { temporaryFolder } from "../support/folder.ts";
import { startBrain } from "../support/processes.ts";

/**
 * A legacy stream through an hour's silence, compressed: 240 comment lines are an hour at one in 15 seconds, here one a
 * second. Beside it one with the real 15 seconds, silent for the same four minutes, eight times Bun's own limit.
 */
const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

const HEARTBEATS_OF_AN_HOUR = 240;

test("the SDK's own client is still connected afterwards", async () => {
  const ups = await Promise.all([
    startBrain(["up"], {
      BRAIN_DATA_DIR: `${folder.path}/fast`,
      MCP_HEARTBEAT_SECONDS: "1",
      MCP_SESSION_IDLE_SECONDS: "30",
    }),
    startBrain(["up"], { BRAIN_DATA_DIR: `${folder.path}/real` }),
  ]);
  const clients = await Promise.all(
    ups.map(({ url, token }) => connectLegacy(url, { authorization: `Bearer ${token}` })),
  );
  await Bun.sleep(HEARTBEATS_OF_AN_HOUR * 1000);
  for (const client of clients) {
    const { structuredContent } = await client.callTool({ name: "whoami", arguments: {} });
    expect(structuredContent).toMatchObject({ user: "local" });
  }
  for (const up of ups) {
    up.process.kill("SIGTERM");
    expect(await up.process.exited).toBe(0);
  }
}, 300_000);
