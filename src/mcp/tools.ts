import { identityTools } from "../auth/tools.ts";
import { memoryTools } from "../memories/tools.ts";
import { searchTools } from "../search/tools.ts";
import type { Tool } from "./tool.ts";

/** Every tool, in the order clients list them. */
export const TOOLS: readonly Tool[] = [...searchTools, ...memoryTools, ...identityTools];
