import { identityTools } from "../auth/tools.ts";
import { entityTools } from "../entities/tools.ts";
import { graphTools } from "../graph/tools.ts";
import { memoryAdminTools } from "../memories/admin_tools.ts";
import { memoryTools } from "../memories/tools.ts";
import { embedderTools } from "../search/embedder_tool.ts";
import { searchTools } from "../search/tools.ts";
import type { DefinedTool } from "./tool.ts";

const every: readonly DefinedTool[] = [
  ...searchTools,
  ...memoryTools,
  ...graphTools,
  ...identityTools,
  ...entityTools,
  ...memoryAdminTools,
  ...embedderTools,
];
const is_default = ({ toolset }: DefinedTool) => toolset === undefined;

/** Every tool, in the order clients list them: the default set comes first. */
export const TOOLS: readonly DefinedTool[] = [
  ...every.filter(is_default),
  ...every.filter((tool) => !is_default(tool)),
];
