import { afterAll, beforeAll, setDefaultTimeout } from "bun:test";
import { rmSync } from "node:fs";
import { startTestServer, stopServer } from "./support/server.ts";
import { DATA_DIR } from "./support/world.ts";

// Preloaded before every run. Started here and not by the first test that asks, whose own time it would take; the unit
// tests pay a second for it. Whatever was started is gone at the end.
// On a busy machine too: the runner ends what a test that is cut has started, and the test server is one of that.
setDefaultTimeout(20_000);
beforeAll(startTestServer, 60_000);
afterAll(stopServer, 60_000);
afterAll(() => rmSync(DATA_DIR, { recursive: true, force: true }));
