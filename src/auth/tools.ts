import { t } from "elysia";
import { quoted } from "../json.ts";
import { defineTool } from "../mcp/tool.ts";
import { closed } from "../schema.ts";
import { WhoAmI } from "./schema.ts";
import { whoAmI } from "./service.ts";

export const identityTools = [
  defineTool({
    name: "whoami",
    title: "Who am I",
    description:
      "Call it to learn which spaces you may use, or why something was refused. Gives your user, org, scopes and spaces.",
    effect: "reads",
    input: t.Object({}, closed),
    output: WhoAmI,
    run: (caller) => whoAmI(caller),
    text: ({ user, org, scopes, grants }) =>
      `User ${quoted(user)} of org ${quoted(org)}; scopes: ${quoted(scopes.join(" "))}; ` +
      `spaces: ${quoted(grants.join(" "))}`,
  }),
];
