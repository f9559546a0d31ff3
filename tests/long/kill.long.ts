import { afterAll, expect, test } from "bun:test";
import { temporaryFolder } from "../support/folder.ts";
import { spawnBrain, startBrain } from "../support/processes.ts";

/** `kill -9` at any time, again and again on one data directory: by hand, `bun run test:long`. */
const folder = temporaryFolder();
const env = { BRAIN_DATA_DIR: folder.path };
afterAll(() => folder[Symbol.dispose]());

const ROUNDS = 20;

test(`${ROUNDS} starts killed at a random moment, then one that works`, async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const doomed = spawnBrain(["up"], env);
    await Bun.sleep(Math.random() * 3000);
    doomed.kill("SIGKILL");
    await doomed.exited;
  }
  const up = await startBrain(["up"], env);
  expect((await fetch(`${up.url}/health/ready`)).status).toBe(200);
  up.process.kill("SIGTERM");
  expect(await up.process.exited).toBe(0);
}, 300_000);

test(`${ROUNDS} times: every write that was answered is there after kill -9`, async () => {
  const answered: string[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const up = await startBrain(["up"], env);
    const headers = { authorization: `Bearer ${up.token}`, "content-type": "application/json" };
    const writers = Array.from({ length: 8 }, async () => {
      for (let index = 0; ; index++) {
        const body = JSON.stringify({ content: `round ${round} write ${index}` });
        const response = await fetch(`${up.url}/api/v1/memories`, { method: "POST", headers, body }).catch(
          () => undefined,
        );
        const text = await response?.text().catch(() => undefined);
        if (response?.status !== 201 || !text) return;
        answered.push(JSON.parse(text).id);
      }
    });
    await Bun.sleep(100 + Math.random() * 1000);
    up.process.kill("SIGKILL");
    await Promise.all([...writers, up.process.exited]);
  }
  const up = await startBrain(["up"], env);
  const headers = { authorization: `Bearer ${up.token}` };
  const lost: string[] = [];
  for (const id of answered)
    if ((await fetch(`${up.url}/api/v1/memories/${id}`, { headers })).status !== 200) lost.push(id);
  console.log(`${answered.length} writes were answered, ${lost.length} lost`);
  expect(lost).toEqual([]);
  up.process.kill("SIGTERM");
  await up.process.exited;
}, 300_000);
