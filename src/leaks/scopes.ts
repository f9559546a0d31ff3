import { SCOPES } from "../auth/scopes.ts";
import { ghostAim } from "./aims.ts";
import { NOBODY, type Person } from "./cast.ts";
import { codeIn } from "./plant.ts";
import { messagesOf, overMcp, type Probes } from "./walk.ts";
import type { Ask, World } from "./world.ts";

/**
 * Each route, tool and method of MCP with a token that has every scope but one it needs, with no scope but those, and without a token.
 * Nothing there is aimed at. What is needed is what the probe says, whatever src/auth/scopes.ts says.
 */
export async function tryScopes(world: World, { routes, ...probes }: Probes): Promise<string> {
  const [person] = world.people;
  if (!person) throw new Error("there is nobody");
  const aim = ghostAim();
  for (const [name, { needs, asks }] of Object.entries(routes)) {
    const [asked] = asks(aim);
    if (!asked) continue;
    await tryToken(world, name, asked, needs === "public");
    if (needs !== "public") await tryAll(world, person, name, asked, needs);
  }
  const messages = messagesOf(probes);
  for (const { probe, needs, asks } of messages)
    for (const message of asks(aim).slice(0, 1)) await tryAll(world, person, probe, overMcp(message), needs);
  return `${Object.keys(routes).length} routes, ${messages.length} tools and methods, each without one scope it needs`;
}

async function tryToken({ ask, notes }: World, probe: string, asked: Ask, is_public: boolean) {
  const { status } = await ask(NOBODY, asked, { probe });
  if ((status === 401) === is_public)
    notes.find(
      `${probe} was answered ${status} without a token, and its probe says ${is_public ? "public" : "signed in"}.`,
    );
}

async function tryAll({ ask, notes }: World, person: Person, probe: string, asked: Ask, needs: readonly string[]) {
  for (const scope of needs) {
    const answer = await ask(person, asked, { probe, scopes: SCOPES.filter((one) => one !== scope) });
    const code = codeIn(answer);
    if (code !== "INSUFFICIENT_SCOPE")
      notes.find(
        `${probe} with every scope but ${scope} was answered ${answer.status} ${code}, not INSUFFICIENT_SCOPE.`,
      );
  }
  const answer = await ask(person, asked, { probe, scopes: needs });
  if (codeIn(answer) === "INSUFFICIENT_SCOPE")
    notes.find(`${probe} asks for more than the scopes its probe says: ${needs.join(" ") || "none"}.`);
}
