import { afterAll, beforeAll } from "bun:test";
import { rmSync } from "node:fs";
import { startTestServer, stopServer } from "./support/server.ts";
import { DATA_DIR } from "./support/world.ts";

// Preloaded before every run. Started here and not by the first test that asks, whose own time it would take; the unit
// tests pay a second for it. Whatever was started is gone at the end.
beforeAll(startTestServer, 60_000);
afterAll(stopServer, 60_000);
afterAll(() => rmSync(DATA_DIR, { recursive: true, force: true }));
