import { identityTools } from "../auth/tools.ts";
import { entityTools } from "../entities/tools.ts";
import { memoryTools } from "../memories/tools.ts";
import { searchTools } from "../search/tools.ts";
import type { Tool } from "./tool.ts";

const every: readonly Tool[] = [...searchTools, ...memoryTools, ...entityTools, ...identityTools];
const is_default = ({ toolset }: Tool) => toolset === undefined;

/** Every tool, in the order clients list them: the default set comes first. */
export const TOOLS: readonly Tool[] = [...every.filter(is_default), ...every.filter((tool) => !is_default(tool))];
