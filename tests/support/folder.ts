import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder of its own, gone at the end. Open to the database's user: mkdtemp's 0700 would send the cluster elsewhere. */
export function temporaryFolder() {
  const path = mkdtempSync(join(tmpdir(), "coding-brain-"));
  chmodSync(path, 0o755);
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
