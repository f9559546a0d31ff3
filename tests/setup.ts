import { afterAll } from "bun:test";
import { stopServer } from "./support/server.ts";

// Preloaded before every run: whatever PostgreSQL the tests came to start is gone at the end.
afterAll(stopServer);
